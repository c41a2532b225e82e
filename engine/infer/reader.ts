// Reader: pseudo-tokens and tokens -> new tokens, greedily, with a key-value cache kept between requests.
import { join } from "node:path";
import type { ReaderInput } from "../domain.ts";
import { EngineError, type Problem } from "../errors.ts";
import type { PackManifest } from "../pack/pack.ts";
import { choose } from "./choice.ts";
import { deviceGraph } from "./deviceGraph.ts";
import { DeviceKvCache } from "./deviceKvCache.ts";
import { type KeyValues, KvCache } from "./kvCache.ts";
import type { GenerateOptions, Generation } from "./models.ts";
import type { Runtime } from "./runtime.ts";
import { openSession, type Session, type Slot } from "./session.ts";

/** Positions per prefill run: a cancel point each, at no measurable cost in speed. */
const SLICE = 128;

export interface Reader {
  /** `lineBreaks[id]` is how many line breaks token `id` holds, and `isBlank[id]` whether it is white space only. */
  generate(
    input: ReaderInput,
    options: GenerateOptions,
    vocabulary: Vocabulary,
    isCancelled: () => boolean,
  ): Promise<Generation>;
  close(): Promise<void>;
}

/** Per-token facts the stop rule needs; rows are token ids. */
export interface Vocabulary {
  readonly lineBreaks: Uint8Array;
  readonly isBlank: Uint8Array;
}

/** The part of a pack that holds its reader. */
export interface ReaderFiles {
  readonly dir: string;
  readonly manifest: Pick<PackManifest, "embed" | "reader">;
}

export async function openReader(
  pack: ReaderFiles,
  runtime: Runtime,
): Promise<{ reader: Reader; problems: Problem[] }> {
  const { embed, reader: shape } = pack.manifest;
  const embedding = await openSession(join(pack.dir, embed.file), {
    ...runtime,
    // A look-up in a table: the way to a device and back would take longer.
    providers: runtime.providers.slice(-1),
    inputs: [{ name: "input_ids", type: "int64", dims: [1, "T"] }],
    outputs: [{ name: "inputs_embeds", type: "float32", dims: [1, "T", shape.readerDim] }],
  });
  const decoder = await openDecoder(join(pack.dir, shape.file), shape, runtime);
  const cache = decoder.cache;

  const generate: Reader["generate"] = async (input, options, vocabulary, isCancelled) => {
    const started = performance.now();
    const step = (rows: Float32Array, ids: readonly number[]) => forward(decoder.session, cache, shape, rows, ids);
    const reusedTokens = cache.rewindTo(input);
    const rows = await inputRows(embedding.session, input, reusedTokens, shape.readerDim);
    const firstToken = input.pseudoTokens.length / shape.readerDim;

    let logits: Float32Array | undefined;
    for (let from = 0; from < rows.length / shape.readerDim; from += SLICE) {
      if (isCancelled()) break;
      const slice = rows.subarray(from * shape.readerDim, (from + SLICE) * shape.readerDim);
      const at = Math.max(0, reusedTokens + from - firstToken);
      const until = Math.max(0, reusedTokens + from + slice.length / shape.readerDim - firstToken);
      logits = await step(slice, Array.from(input.tokens.subarray(at, until)));
    }
    const prefillMs = performance.now() - started;

    const tokens: number[] = [];
    const logProbs: number[] = [];
    const margins: number[] = [];
    let end: Generation["end"] = "max-tokens";
    let ttftMs = prefillMs;
    let lines = 0;
    let isLineBlank = true;
    while (tokens.length < options.maxNewTokens) {
      if (isCancelled() || logits === undefined) {
        end = "cancelled";
        break;
      }
      const { token: next, logProb, margin } = choose(logits, 0, shape.vocabSize);
      if (tokens.length === 0) ttftMs = performance.now() - started;
      if (options.stopTokens.includes(next)) {
        end = "stop-token";
        break;
      }
      tokens.push(next);
      logProbs.push(logProb);
      margins.push(margin);
      // A blank line does not count: the completion is the first line that says something.
      isLineBlank &&= vocabulary.isBlank[next] === 1;
      if ((vocabulary.lineBreaks[next] ?? 0) > 0 && !isLineBlank) {
        lines += 1;
        isLineBlank = true;
        if (lines >= options.maxLines) {
          end = "lines";
          break;
        }
      }
      if (tokens.length < options.maxNewTokens)
        logits = await step(await embedTokens(embedding.session, [next]), [next]);
    }
    return { tokens, logProbs, margins, end, prefillMs, ttftMs, totalMs: performance.now() - started, reusedTokens };
  };
  return {
    reader: {
      generate,
      close: async () => {
        cache.close();
        await embedding.session.close();
        await decoder.session.close();
      },
    },
    problems: [...embedding.problems, ...decoder.problems],
  };
}

type ReaderShape = PackManifest["reader"];

/** Where the first provider that takes the graph can keep keys and values, they stay there. */
async function openDecoder(
  file: string,
  shape: ReaderShape,
  runtime: Runtime,
): Promise<{ session: Session; cache: KeyValues; problems: Problem[] }> {
  const problems: Problem[] = [];
  const slots = { inputs: inputsOf(shape), outputs: outputsOf(shape) };
  const [first, ...rest] = runtime.providers;
  if (first?.outputs === "device") {
    try {
      const keptOnDevice = slots.outputs.map(({ name }) => name).filter((name) => name.startsWith("present."));
      const { session } = await openSession(await deviceGraph(file, shape), {
        ...runtime,
        providers: [first],
        ...slots,
        keptOnDevice,
      });
      return { session, cache: new DeviceKvCache(shape), problems };
    } catch (error) {
      if (!(error instanceof EngineError) || error.code !== "PROVIDER_FAILED") throw error;
      problems.push({ code: "PROVIDER_FELL_BACK", detail: error.message });
    }
  }
  const { session, problems: more } = await openSession(file, {
    ...runtime,
    providers: problems.length === 0 ? runtime.providers : rest,
    ...slots,
  });
  return { session, cache: new KvCache(shape), problems: [...problems, ...more] };
}

/** One run: appends `rows` `[T, readerDim]` to the cache, answers the last position's logits `[vocabSize]`. */
async function forward(
  session: Session,
  cache: KeyValues,
  shape: ReaderShape,
  rows: Float32Array,
  ids: readonly number[],
): Promise<Float32Array> {
  const count = rows.length / shape.readerDim;
  const total = cache.length + count;
  const feeds = {
    inputs_embeds: { data: rows, dims: [1, count, shape.readerDim] },
    seqlens_k: { data: Int32Array.of(total - 1), dims: [1] },
    total_sequence_length: { data: Int32Array.of(total), dims: [] },
    logit_rows: { data: BigInt64Array.of(BigInt(count - 1)), dims: [1] },
  };
  const { logits } = await cache.run(session, feeds, count, ids);
  return logits?.data as Float32Array;
}

/** Rows `[positions - from, readerDim]` of the reader's input after position `from`. */
async function inputRows(
  embedding: Session,
  input: ReaderInput,
  from: number,
  readerDim: number,
): Promise<Float32Array> {
  const pseudoRows = input.pseudoTokens.length / readerDim;
  const pseudo = input.pseudoTokens.subarray(Math.min(from, pseudoRows) * readerDim);
  const tokens = input.tokens.subarray(Math.max(0, from - pseudoRows));
  const embedded = tokens.length === 0 ? new Float32Array(0) : await embedTokens(embedding, tokens);
  const rows = new Float32Array(pseudo.length + embedded.length);
  rows.set(pseudo);
  rows.set(embedded, pseudo.length);
  return rows;
}

async function embedTokens(embedding: Session, tokens: ArrayLike<number>): Promise<Float32Array> {
  const ids = BigInt64Array.from(Array.from(tokens), BigInt);
  const { inputs_embeds } = await embedding.run({ input_ids: { data: ids, dims: [1, ids.length] } });
  return inputs_embeds?.data as Float32Array;
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
