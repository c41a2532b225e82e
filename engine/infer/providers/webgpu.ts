// Any GPU through Vulkan, Direct3D 12 or Metal. The one provider whose outputs can stay on the device between two runs.
import type { Provider } from "../provider.ts";

export const provider: Provider = {
  name: "webgpu",
  needs: "a GPU whose driver brings Vulkan, Direct3D 12 or Metal",
  native: "webgpu",
  outputs: "device",
};
