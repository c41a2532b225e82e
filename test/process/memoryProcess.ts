// Process entry: the memory benchmark alone in a process, a few completions long; answers its parent with the rows.
import { memory } from "../../bench/memory.ts";
import { installationOf } from "../../engine/installation.ts";

const installation = installationOf(new URL("../../engine/cli.ts", import.meta.url).href);
const { tables } = await memory.run({ completions: 200, threads: 1 }, installation);
process.send?.(tables[0]?.rows ?? [], () => process.disconnect());
