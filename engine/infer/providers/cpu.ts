// The CPU: always there, last in every list.
import type { Provider } from "../provider.ts";

export const provider: Provider = { name: "cpu", native: undefined, outputs: "host" };
