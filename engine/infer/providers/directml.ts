// GPUs under Windows through Direct3D 12. Elsewhere the runtime takes the name without a word and computes on the CPU,
// so that only a strict session tells. It refuses memory patterns.
import type { Provider } from "../provider.ts";

export const provider: Provider = {
  name: "directml",
  needs: "Windows and a Direct3D 12 GPU",
  native: "dml",
  outputs: "host",
  sessionOptions: { enableMemPattern: false },
};
