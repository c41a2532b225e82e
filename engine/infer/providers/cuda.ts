// NVIDIA GPUs under Linux, where the runtime's CUDA libraries lie beside it: its package leaves them to a wish (addGpuLibraries.ts).
// The runtime's Node binding copies its outputs to the host after every run.
import type { Provider } from "../provider.ts";

export const provider: Provider = {
  name: "cuda",
  needs:
    "Linux on x64, an NVIDIA driver, CUDA 12 with cuDNN 9, and the runtime's own CUDA libraries, which “Precis: Download GPU Libraries” fetches",
  native: "cuda",
  outputs: "host",
};
