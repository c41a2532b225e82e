// NVIDIA GPUs under Linux, where someone has put the runtime's CUDA libraries beside it: the package does not bring them.
// The runtime's Node binding copies its outputs to the host after every run.
import type { Provider } from "../provider.ts";

export const provider: Provider = { name: "cuda", native: "cuda", outputs: "host" };
