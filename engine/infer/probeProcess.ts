// Process entry: asks the one provider named by its first argument, with a pack's folder after it how fast that pack reads,
// and answers its parent. A driver that ends the process ends
// this one and not the engine.
import { constants, setPriority } from "node:os";
import { type Probe, probeProvider } from "./probe.ts";
import { loadProvider } from "./provider.ts";
import { type Trial, tryProvider } from "./trial.ts";

setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
const [, , name = "", packDir, threads = "0"] = process.argv;
const provider = await loadProvider(name);
const answer: Probe | Trial =
  provider === undefined
    ? nothingNamed(name)
    : packDir === undefined
      ? await probeProvider(provider)
      : await tryProvider(name, packDir, Number(threads));
process.send?.(answer, () => process.disconnect());

function nothingNamed(name: string): Probe {
  return { provider: name, runs: [], detail: "this build has no execution provider of that name", ms: 0 };
}
