// The pack's parity samples through the real sessions of this machine: do the graphs answer here what they answered in training?
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { EngineError } from "../errors.ts";
import type { Pack } from "../pack/pack.ts";
import { int8Graph } from "./int8Graph.ts";
import { openReader, type ReaderFiles } from "./reader.ts";
import { openRuntime, type Runtime } from "./runtime.ts";
import { openSession, type SessionOptions, type Tensor } from "./session.ts";
import { loadTokenizer, type Tokenizer } from "./tokenizer.ts";

interface ParityTensor {
  readonly shape: readonly number[];
  /** Inputs only; outputs are float32. */
  readonly dtype?: "float32" | "int32" | "int64";
  readonly data: readonly number[];
}

export interface ParitySample {
  readonly inputs: Readonly<Record<string, ParityTensor>>;
  readonly outputs: Readonly<Record<string, ParityTensor>>;
  /** Largest absolute difference of an output number. */
  readonly tolerance: number;
}

const GRAPHS = ["embed", "encoder", "fuser", "projector", "reader"] as const;

/** Never an add-on's. */
const OF_PACK: readonly string[] = ["embed", "reader"];

export interface ParityFile extends Readonly<Record<(typeof GRAPHS)[number], readonly ParitySample[]>> {
  readonly tokenizer: readonly { readonly text: string; readonly ids: readonly number[] }[];
  /** Token ids of a prompt and of what the reader writes after it, greedily. */
  readonly greedy: { readonly prompt: readonly number[]; readonly continuation: readonly number[] };
}

export interface ParityReport {
  readonly samples: number;
  /** Largest difference met, as a share of its sample's tolerance. */
  readonly worst: number;
}

/** Throws `PACK_INCOMPATIBLE` naming the first graph or text that differs by more than its tolerance. */
export async function checkParity(pack: Pack, providers: readonly string[]): Promise<ParityReport> {
  const file: ParityFile = JSON.parse(await readFile(join(pack.dir, pack.manifest.parity), "utf8"));
  const tokenizer = await loadTokenizer(join(pack.dir, pack.manifest.tokenizer.file));
  for (const { text, ids } of file.tokenizer) {
    const here = tokenizer.encode(text, true);
    if (here.join() !== ids.join()) {
      throw new EngineError(
        "PACK_INCOMPATIBLE",
        `the tokenizer gives ${here.join(" ")} for ${JSON.stringify(text)}, the pack says ${ids.join(" ")}`,
      );
    }
  }
  const { runtime } = await openRuntime(providers, 1);
  let samples = file.tokenizer.length;
  let worst = 0;
  for (const graph of GRAPHS) {
    const described = pack.manifest[graph];
    // An add-on's models have samples of their own.
    if (described === undefined || (pack.addOn !== undefined && !OF_PACK.includes(graph))) continue;
    const path = join(pack.dir, described.file);
    // As the sessions have it: the encoder's vectors come from nothing else.
    const isMadeOver = graph === "encoder" && pack.manifest.encoder.states === undefined;
    const onCpu = isMadeOver ? () => int8Graph(path) : undefined;
    worst = Math.max(worst, await checkGraph(graph, path, file[graph], runtime, onCpu));
    samples += file[graph].length;
  }
  await checkGreedy(pack, file.greedy, runtime);
  return { samples: samples + 1, worst };
}

/** Throws `PACK_INCOMPATIBLE`; answers the largest difference met, as a share of its sample's tolerance. */
export async function checkGraph(
  graph: string,
  file: string,
  samples: readonly ParitySample[],
  runtime: Runtime,
  onCpu?: SessionOptions["onCpu"],
): Promise<number> {
  if (samples.length === 0) return 0;
  const { session } = await openSession(file, { ...runtime, inputs: [], outputs: [], ...(onCpu && { onCpu }) });
  let worst = 0;
  try {
    for (const sample of samples) {
      const feeds = Object.fromEntries(Object.entries(sample.inputs).map(([name, value]) => [name, toTensor(value)]));
      const results = await session.run(feeds);
      for (const [name, expected] of Object.entries(sample.outputs)) {
        const share = largestDifference(results[name], expected) / sample.tolerance;
        if (!(share <= 1)) {
          throw new EngineError(
            "PACK_INCOMPATIBLE",
            `${graph}: ${name} differs by ${(share * sample.tolerance).toExponential(2)}, tolerance ${sample.tolerance}`,
          );
        }
        worst = Math.max(worst, share);
      }
    }
  } finally {
    await session.close();
  }
  return worst;
}

/** What `recordGreedy` has the reader continue. */
const RECORDED_TEXT = "def area(width, height):\n    return width * height\n\n\ndef volume(";

/** `known` and what this reader writes on the CPU of this machine, for a pack whose reader came without samples. */
export async function recordGreedy(
  pack: ReaderFiles,
  tokenizer: Tokenizer,
  known: Pick<ParityFile, "encoder" | "fuser">,
): Promise<ParityFile> {
  const ids = tokenizer.encode(RECORDED_TEXT);
  const { runtime } = await openRuntime(["cpu"], 0);
  const continuation = await continued(pack, ids, { ...runtime, kernels: false });
  const texts = [{ text: RECORDED_TEXT, ids }];
  return { ...known, embed: [], projector: [], reader: [], tokenizer: texts, greedy: { prompt: ids, continuation } };
}

/** Another processor's rounding may break a near tie later on; a wrong graph differs at once. */
const GREEDY_TOKENS = 8;

/** The whole reader: embedding, cache, slices and decoding give the continuation that training saw. */
async function checkGreedy(pack: Pack, greedy: ParityFile["greedy"], runtime: Runtime): Promise<void> {
  const tokens = await continued(pack, greedy.prompt, runtime);
  const expected = greedy.continuation.slice(0, GREEDY_TOKENS);
  if (tokens.join() === expected.join()) return;
  throw new EngineError(
    "PACK_INCOMPATIBLE",
    `the reader continues with ${tokens.join(" ")}, the pack says ${expected.join(" ")}`,
  );
}

async function continued(pack: ReaderFiles, prompt: readonly number[], runtime: Runtime): Promise<readonly number[]> {
  const { reader } = await openReader(pack, runtime);
  const { vocabSize } = pack.manifest.reader;
  const vocabulary = { lineBreaks: new Uint8Array(vocabSize), isBlank: new Uint8Array(vocabSize) };
  const input = { pseudoTokens: new Float32Array(0), tokens: Int32Array.from(prompt) };
  const options = { maxNewTokens: GREEDY_TOKENS, stopTokens: [], maxLines: Number.POSITIVE_INFINITY };
  const { tokens } = await reader.generate(input, options, vocabulary, () => false);
  await reader.close();
  return tokens;
}

function toTensor({ shape, dtype, data }: ParityTensor): Tensor {
  switch (dtype) {
    case "int32":
      return { data: Int32Array.from(data), dims: shape };
    case "int64":
      return { data: BigInt64Array.from(data, BigInt), dims: shape };
    default:
      return { data: Float32Array.from(data), dims: shape };
  }
}

/** Infinity when the shapes differ or a number is missing. */
function largestDifference(actual: Tensor | undefined, expected: ParityTensor): number {
  if (actual === undefined || actual.data.length !== expected.data.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  expected.data.forEach((value, n) => {
    const difference = Math.abs(Number(actual.data[n]) - value);
    largest = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(largest, difference);
  });
  return largest;
}
