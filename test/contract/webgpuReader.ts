// Process entry: the bundled pack's reader on WebGPU and on the CPU over the same inputs; answers its parent with both.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ReaderInput } from "../../engine/domain.ts";
import type { ParityFile } from "../../engine/infer/parity.ts";
import { openReader } from "../../engine/infer/reader.ts";
import { openRuntime } from "../../engine/infer/runtime.ts";
import { findPack, openPack } from "../../engine/pack/pack.ts";

export interface ReaderRun {
  readonly input: string;
  readonly tokens: readonly number[];
  readonly logProbs: readonly number[];
  readonly reusedTokens: number;
}

export interface ReaderComparison {
  readonly problems: readonly string[];
  readonly cpu: readonly ReaderRun[];
  readonly webgpu: readonly ReaderRun[];
}

const NEW_TOKENS = 2;
const NOTHING = new Float32Array(0);

const pack = await openPack(await findPack("auto", fileURLToPath(new URL("../../packs", import.meta.url))));
const { greedy }: ParityFile = JSON.parse(await readFile(join(pack.dir, pack.manifest.parity), "utf8"));
const { vocabSize, readerDim } = pack.manifest.reader;
const vocabulary = { lineBreaks: new Uint8Array(vocabSize), isBlank: new Uint8Array(vocabSize) };
const prompt = Int32Array.from(greedy.prompt);
const pseudoTokens = Float32Array.from({ length: 2 * readerDim }, (_, n) => Math.sin(n));
/** Cold, rewound to a common prefix, behind pseudo-tokens. */
const inputs: Readonly<Record<string, ReaderInput>> = {
  cold: { pseudoTokens: NOTHING, tokens: prompt },
  rewound: { pseudoTokens: NOTHING, tokens: Int32Array.of(...prompt.subarray(0, 20), ...prompt.subarray(0, 4)) },
  "pseudo-tokens": { pseudoTokens, tokens: prompt.subarray(0, 20) },
};

async function runOn(name: string): Promise<{ runs: ReaderRun[]; problems: string[] }> {
  const { runtime } = await openRuntime([name], 1);
  const { reader, problems } = await openReader(pack, runtime);
  const runs: ReaderRun[] = [];
  for (const [input, value] of Object.entries(inputs)) {
    const options = { maxNewTokens: NEW_TOKENS, stopTokens: [], maxLines: Number.POSITIVE_INFINITY };
    const { tokens, logProbs, reusedTokens } = await reader.generate(value, options, vocabulary, () => false);
    runs.push({ input, tokens, logProbs, reusedTokens });
  }
  await reader.close();
  return { runs, problems: problems.map(({ detail }) => detail) };
}

const cpu = await runOn("cpu");
const webgpu = await runOn("webgpu");
const comparison: ReaderComparison = { problems: webgpu.problems, cpu: cpu.runs, webgpu: webgpu.runs };
process.send?.(comparison, () => process.disconnect());
