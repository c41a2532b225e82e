// The reader's graph and its caches: rows in, logits out, and how much of an input is already there.
import { basename, dirname, join } from "node:path";
import type { ReaderInput } from "../domain.ts";
import { EngineError, messageOf, type Problem } from "../errors.ts";
import { readOnnxModel } from "../pack/onnxModel.ts";
import type { PackManifest } from "../pack/pack.ts";
import { deviceGraph } from "./deviceGraph.ts";
import { DeviceKvCache } from "./deviceKvCache.ts";
import { int8Graph } from "./int8Graph.ts";
import { type Kernels, openKernels, type Predictions } from "./kernels.ts";
import { kernelWeights } from "./kernelWeights.ts";
import { type KeyValues, KvCache } from "./kvCache.ts";
import { KvCaches, mostCaches } from "./kvCaches.ts";
import type { Runtime } from "./runtime.ts";
import { type GraphBytes, openSession, type Session, type Slot } from "./session.ts";

export type ReaderShape = PackManifest["reader"];

export interface Decoder {
  /** Name of the execution provider it runs on. */
  readonly provider: string;
  /** Goes on in the cache that shares most with `input`; answers how many positions are kept. */
  rewindTo(input: ReaderInput): number;
  /** Positions read so far. */
  readonly length: number;
  /** One run over `rows` `[T, readerDim]`, `ids` the tokens among them; answers logits `[asked, vocabSize]` of the last ones. */
  read(rows: Float32Array, ids: readonly number[], asked: number): Promise<Float32Array>;
  /**
   * Whether tokens have kernels of their own. A row then gives the same numbers whatever it is read with; what they read is
   * forgotten by the next input.
   */
  readonly hasKernels: boolean;
  /** Reads at most `MOST_ROWS` tokens behind the input with the kernels, otherwise as `read`. */
  readTokens(rows: Float32Array, ids: readonly number[]): Promise<Predictions>;
  /** Forgets all inputs. */
  forget(): void;
  /** Forgets every position from `length` on. */
  truncate(length: number): void;
  close(): Promise<void>;
}

export async function openDecoder(
  file: string,
  shape: ReaderShape,
  runtime: Runtime,
): Promise<{ decoder: Decoder; problems: Problem[] }> {
  const { session, kernels, createCache, problems } = await openGraph(file, shape, runtime);
  const caches = new KvCaches(shape, createCache);
  let cache = caches.first;
  const read: Decoder["read"] = async (rows, ids, asked) => {
    const count = rows.length / shape.readerDim;
    const total = cache.length + count;
    const feeds = {
      inputs_embeds: { data: rows, dims: [1, count, shape.readerDim] },
      seqlens_k: { data: Int32Array.of(total - 1), dims: [1] },
      total_sequence_length: { data: Int32Array.of(total), dims: [] },
      logit_rows: {
        data: BigInt64Array.from({ length: asked }, (_, n) => BigInt(count - asked + n)),
        dims: [asked],
      },
    };
    const { logits } = await cache.run(session, feeds, count, ids);
    return logits?.data as Float32Array;
  };
  const decoder: Decoder = {
    provider: session.provider,
    hasKernels: kernels !== undefined,
    rewindTo: (input) => {
      cache = caches.take(input);
      return cache.rewindTo(input);
    },
    get length() {
      return cache.length;
    },
    read,
    readTokens: async (rows, ids) =>
      cache.pass(rows, ids) ?? { logits: await read(rows, ids, ids.length), likeliest: [] },
    forget: () => caches.forget(),
    truncate: (length) => cache.truncate(length),
    close: async () => {
      caches.close();
      await kernels?.close();
      await session.close();
    },
  };
  return { decoder, problems };
}

/** Where the first provider that takes the graph can keep keys and values, they stay there. */
async function openGraph(
  file: string,
  shape: ReaderShape,
  runtime: Runtime,
): Promise<{ session: Session; kernels: Kernels | undefined; createCache: () => KeyValues; problems: Problem[] }> {
  const problems: Problem[] = [];
  const slots = { inputs: inputsOf(shape), outputs: outputsOf(shape) };
  const [first, ...rest] = runtime.providers;
  if (first?.outputs === "device") {
    try {
      const keptOnDevice = slots.outputs.map(({ name }) => name).filter((name) => name.startsWith("present."));
      const { session } = await openSession(await deviceGraph(tokensFileOf(file, shape), shape), {
        ...runtime,
        providers: [first],
        ...slots,
        keptOnDevice,
      });
      return { session, kernels: undefined, createCache: () => new DeviceKvCache(shape), problems };
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      problems.push({ code: "PROVIDER_FELL_BACK", detail: error.message });
    }
  }
  const { session, problems: more } = await openSession(tokensFileOf(file, shape), {
    ...runtime,
    providers: problems.length === 0 ? runtime.providers : rest,
    ...slots,
    isUrgent: true,
    onCpu: () => promptGraph(file, shape, runtime),
  });
  problems.push(...more);
  const kernels =
    session.provider === "cpu" ? await kernelsFor(tokensFileOf(file, shape), shape, runtime, problems) : undefined;
  return { session, kernels, createCache: () => new KvCache(shape, kernels), problems };
}

/** What prompts are read with on the CPU: a graph of their own where tokens have one, be it in the pack or in the kernels. */
async function promptGraph(
  file: string,
  { tokensFile, layers, kvHeads, headDim }: ReaderShape,
  { kernels = true }: Runtime,
): Promise<string | GraphBytes | undefined> {
  if (tokensFile !== undefined) return file;
  const weights = kernels ? kernelWeights(await readOnnxModel(file), kvHeads, headDim) : undefined;
  return weights?.layers.length === layers ? int8Graph(file) : undefined;
}

/** The graph whose weights tokens are read with, and everything on an accelerator. */
function tokensFileOf(file: string, { tokensFile }: ReaderShape): string {
  return tokensFile === undefined ? file : join(dirname(file), tokensFile);
}

/** Without them the session reads tokens too. */
async function kernelsFor(
  file: string,
  shape: ReaderShape,
  { threads, kernels = true }: Runtime,
  problems: Problem[],
): Promise<Kernels | undefined> {
  if (!kernels) return undefined;
  try {
    return await openKernels(file, { ...shape, threads, caches: mostCaches(shape) });
  } catch (error) {
    problems.push({ code: "PROVIDER_FELL_BACK", detail: `no kernels for ${basename(file)}: ${messageOf(error)}` });
    return undefined;
  }
}

function inputsOf(shape: ReaderShape): Slot[] {
  const { layers, kvHeads, headDim, readerDim } = shape;
  const past = Array.from({ length: layers }, (_, layer) =>
    ["key", "value"].map((part) => ({
      name: `past_key_values.${layer}.${part}`,
      type: "float32" as const,
      dims: [1, kvHeads, "S", headDim],
    })),
  );
  return [
    { name: "inputs_embeds", type: "float32", dims: [1, "T", readerDim] },
    { name: "seqlens_k", type: "int32", dims: [1] },
    { name: "total_sequence_length", type: "int32", dims: [] },
    { name: "logit_rows", type: "int64", dims: ["R"] },
    ...past.flat(),
  ];
}

function outputsOf(shape: ReaderShape): Slot[] {
  const { layers, kvHeads, headDim, vocabSize } = shape;
  const present = Array.from({ length: layers }, (_, layer) =>
    ["key", "value"].map((part) => ({
      name: `present.${layer}.${part}`,
      type: "float32" as const,
      dims: [1, kvHeads, "T", headDim],
    })),
  );
  return [{ name: "logits", type: "float32", dims: [1, "R", vocabSize] }, ...present.flat()];
}
