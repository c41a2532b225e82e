// Apple's Neural Engine and GPU, as an ML Program (macOS 12 and later), the format that has more operators.
import type { Provider } from "../provider.ts";

const ML_PROGRAM = 0x10;

export const provider: Provider = {
  name: "coreml",
  needs: "macOS 12 or later on Apple silicon",
  native: { name: "coreml", coreMlFlags: ML_PROGRAM },
  outputs: "host",
};
