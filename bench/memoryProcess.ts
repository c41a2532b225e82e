// Process entry: many completions of one pack, some of them cancelled; answers its parent with what memory it held meanwhile.
import { startInferThread } from "../engine/infer/inferThread.ts";
import type { GenerateOptions } from "../engine/infer/models.ts";
import { openPack } from "../engine/pack/pack.ts";
import { Schedule } from "../engine/schedule.ts";
import { randomInput } from "./latency.ts";
import { residentMemory } from "./residentMemory.ts";

export interface MemoryRequest {
  readonly packDir: string;
  readonly workerUrl: string;
  /** Completions before the first look, which later ones are compared with. */
  readonly settled: number;
  readonly completions: number;
  readonly threads: number;
  /** Every which one is cancelled. */
  readonly cancelEvery: number;
}

/** What had happened, and MiB: in all, private, mapped from files. */
export type MemoryRow = readonly [what: string, total: number, anonymous: number | null, file: number | null];

const rows = await measure(JSON.parse(process.argv[2] ?? "{}"));
process.send?.(rows, () => process.disconnect());

async function measure({
  packDir,
  workerUrl,
  settled,
  completions,
  threads,
  cancelEvery,
}: MemoryRequest): Promise<readonly MemoryRow[]> {
  const { prompt, reader } = (await openPack(packDir)).manifest;
  const { budget } = prompt;
  const { readerDim, vocabSize } = reader;
  const rows: MemoryRow[] = [];
  const note = async (what: string) => {
    const { total, anonymous, file } = await residentMemory();
    rows.push([what, total, anonymous, file]);
  };
  await note("nothing open");
  const { models } = await startInferThread({
    workerUrl: new URL(workerUrl),
    data: { packDir, providers: ["cpu"], threads },
    schedule: new Schedule(),
  });
  await note("models open");
  const options: GenerateOptions = { maxNewTokens: 8, stopTokens: [], maxLines: Number.POSITIVE_INFINITY };
  const longest = budget.left + budget.right + budget.context;
  for (let n = 1; n <= completions; n += 1) {
    // Lengths from a short prompt to the longest, in no order; a few pseudo-tokens before every third.
    const tokens = 16 + ((n * 7919) % (longest - 16));
    const input = randomInput(tokens, n % 3 === 0 ? budget.pseudoTokens : 0, readerDim, vocabSize, n);
    const aborter = new AbortController();
    const timer = n % cancelEvery === 0 ? setTimeout(() => aborter.abort(), 5) : undefined;
    await models.generate(input, options, aborter.signal);
    clearTimeout(timer);
    if (n === settled || n === completions || n % Math.max(1, Math.floor(completions / 5)) === 0)
      await note(`${n} completions`);
  }
  await models.unload();
  await note("models unloaded");
  await models.generate(randomInput(64, 0, readerDim, vocabSize, 0), { ...options, maxNewTokens: 1 });
  await note("loaded again by a request");
  await models.close();
  return rows;
}
