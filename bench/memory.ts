// `precis bench memory`: does the engine's memory stay where it is over many completions, and go back to the system when
// the models are unloaded? The pack's models behind their worker, as in the engine.
import { type Command, Option } from "commander";
import { startInferThread } from "../engine/infer/inferThread.ts";
import type { Installation } from "../engine/installation.ts";
import { findPack, openPack } from "../engine/pack/pack.ts";
import { Schedule } from "../engine/schedule.ts";
import type { Bench } from "./bench.ts";
import { randomInput } from "./latency.ts";
import { type Cell, type Report, report, type Table } from "./report.ts";
import { residentMemory } from "./residentMemory.ts";

interface Options {
  readonly completions: number;
  readonly threads: number;
}

/** The first look, which later ones are compared with. */
const SETTLED = 100;

export const memory: Bench = {
  name: "memory",
  description:
    "resident memory over many completions, every tenth of them cancelled, and after the models are unloaded",
  addOptions: (command: Command) =>
    command
      .addOption(new Option("--completions <n>", "completions").argParser(Number).default(1000))
      .addOption(new Option("--threads <n>", "threads").argParser(Number).default(1)),
  run: (options, installation) => run(options as unknown as Options, installation),
};

async function run({ completions, threads }: Options, installation: Installation): Promise<Report> {
  const pack = await openPack(await findPack("auto", installation.packsDir));
  const { budget } = pack.manifest.prompt;
  const { readerDim, vocabSize } = pack.manifest.reader;
  const before = await residentMemory();
  const { models } = await startInferThread({
    workerUrl: installation.workers.inference,
    data: { packDir: pack.dir, providers: ["cpu"], threads },
    schedule: new Schedule(),
  });
  const rows: Cell[][] = [];
  const note = async (what: string) => {
    const { total, anonymous, file } = await residentMemory();
    rows.push([what, total, anonymous, file, total - before.total]);
    return total;
  };
  await note("models open");
  let settled = Number.NaN;
  let last = Number.NaN;
  const longest = budget.left + budget.right + budget.context;
  for (let n = 1; n <= completions; n += 1) {
    // Lengths from a short prompt to the longest, in no order; a few pseudo-tokens before every third.
    const tokens = 16 + ((n * 7919) % (longest - 16));
    const input = randomInput(tokens, n % 3 === 0 ? budget.pseudoTokens : 0, readerDim, vocabSize, n);
    const aborter = new AbortController();
    const timer = n % 10 === 0 ? setTimeout(() => aborter.abort(), 5) : undefined;
    const options = { maxNewTokens: 8, stopTokens: [], maxLines: Number.POSITIVE_INFINITY };
    await models.generate(input, options, aborter.signal);
    clearTimeout(timer);
    if (n === SETTLED) settled = await note(`${n} completions`);
    else if (n % Math.max(1, Math.floor(completions / 5)) === 0) last = await note(`${n} completions`);
  }
  await models.unload();
  const unloaded = await note("models unloaded");
  await models.generate(randomInput(64, 0, readerDim, vocabSize, 0), {
    maxNewTokens: 1,
    stopTokens: [],
    maxLines: Number.POSITIVE_INFINITY,
  });
  await note("loaded again by a request");
  await models.close();
  const table: Table = {
    title: `${pack.manifest.id}: resident memory`,
    columns: ["after", "MiB", "private MiB", "from files MiB", "beyond the empty process MiB"],
    rows,
    notes: [
      `after ${completions} completions ${(last / settled).toFixed(3)} of what it was after ${SETTLED}`,
      `unloading gives back ${(last - unloaded).toFixed(0)} MiB of the ${(last - before.total).toFixed(0)} that were taken`,
      `random prompts of 16 to ${longest} tokens, 8 new tokens, every tenth cancelled after 5 ms; ${threads} threads`,
    ],
  };
  return report("memory", [table]);
}
