// The CPU: always there, last in every list.
import type { Provider } from "../provider.ts";

export const provider: Provider = { name: "cpu", needs: "nothing more", native: undefined, outputs: "host" };
