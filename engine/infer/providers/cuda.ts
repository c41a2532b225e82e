// NVIDIA GPUs under Linux, where someone has put the runtime's CUDA libraries beside it: the package does not bring them.
// The runtime's Node binding copies its outputs to the host after every run.
import type { Provider } from "../provider.ts";

export const provider: Provider = {
  name: "cuda",
  needs: "Linux on x64, an NVIDIA driver, CUDA 12, and the runtime's own CUDA libraries beside it",
  native: "cuda",
  outputs: "host",
};
