// Process entry: asks the one provider named by its argument and answers its parent. A driver that ends the process ends
// this one and not the engine.
import { constants, setPriority } from "node:os";
import { type Probe, probeProvider } from "./probe.ts";
import { loadProvider } from "./provider.ts";

setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
const provider = await loadProvider(process.argv[2] ?? "");
process.send?.(provider === undefined ? nothingNamed(process.argv[2] ?? "") : await probeProvider(provider), () =>
  process.disconnect(),
);

function nothingNamed(name: string): Probe {
  return { provider: name, runs: [], detail: "this build has no execution provider of that name", ms: 0 };
}
