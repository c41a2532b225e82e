// What a Qwen2-architecture model takes: bytes to fetch, bytes on the disk, bytes in memory. From its shape alone, so about.
import type { Qwen2Shape } from "./checkpoint.ts";
import type { MatrixFormat } from "./matrices.ts";
import type { PackManifest } from "./pack.ts";
import { tensorsOf } from "./qwen2Config.ts";
import { formatsOf, type ReaderFormat } from "./readerFormat.ts";

/** Bytes a weight takes in each format, its share of a scale included. */
const WEIGHT_BYTES: Readonly<Record<MatrixFormat, number>> = { fp32: 4, q8: 1.125, q4: 0.625, int8: 1 };

/**
 * Of the reader's weights: while the CPU opens it, the runtime holds them once more in the order its kernels read them. Measured
 * at the most: 1.7 at 0.5B and 1.9 at 1.5B, in q4.
 */
const ON_CPU = 1.9;
/** A card holds them once, and what a run makes. */
const ON_CARD = 1.2;
/** The runtime, the encoder and the engine itself. */
const BESIDE_BYTES = 300e6;

/** Of a checkpoint in bfloat16, as they are published. */
export function checkpointBytes(shape: Qwen2Shape): number {
  return 2 * weightsOf(shape);
}

/** Of the token table's graph and the reader's. */
export function graphBytes(shape: Qwen2Shape, format: ReaderFormat): number {
  const { prompts, tokens } = formatsOf(format);
  return (
    tableBytes(shape, prompts) + readerBytes(shape, prompts) + (tokens === undefined ? 0 : readerBytes(shape, tokens))
  );
}

/** On the CPU, with two prefixes of `maxTokens` kept. */
export function memoryBytes(shape: Qwen2Shape, format: ReaderFormat): number {
  const { prompts, tokens } = formatsOf(format);
  const { layers, kvHeads, headDim, maxTokens } = shape;
  const keysAndValues = 2 * layers * kvHeads * headDim * maxTokens * Float32Array.BYTES_PER_ELEMENT;
  const weights = ON_CPU * readerBytes(shape, prompts) + (tokens === undefined ? 0 : readerBytes(shape, tokens));
  return tableBytes(shape, prompts) + weights + 2 * keysAndValues + BESIDE_BYTES;
}

/** Rows of int8 but for the one format that rounds nothing. */
function tableBytes({ vocabSize, readerDim }: Qwen2Shape, format: MatrixFormat): number {
  return vocabSize * readerDim * (format === "fp32" ? 4 : 1);
}

/** A tied output matrix is the table's numbers once more; with one of its own the table is none of the reader's. */
function readerBytes(shape: Qwen2Shape, format: MatrixFormat): number {
  const hasOwnHead = tensorsOf(shape).has("lm_head.weight");
  const weights = weightsOf(shape) - (hasOwnHead ? shape.vocabSize * shape.readerDim : 0);
  return weights * WEIGHT_BYTES[format];
}

function weightsOf(shape: Qwen2Shape): number {
  return [...tensorsOf(shape).values()].reduce((sum, dims) => sum + dims.reduce((product, dim) => product * dim, 1), 0);
}

/** What a pack takes in memory, in bytes, by the sizes of its files. */
export interface PackMemory {
  /** The reader with its keys and values, on the CPU and on a card. */
  readonly reader: number;
  readonly readerOnCard: number;
  /** All else, which is always in the machine's own memory. */
  readonly beside: number;
}

/** `indexFiles`: where encoder, fuser and projector are listed, if not among the pack's own. */
export function packMemory(manifest: PackManifest, indexFiles = manifest.files): PackMemory {
  const { files, reader, embed, encoder, fuser, projector } = manifest;
  const { layers, kvHeads, headDim, maxTokens } = reader;
  // A graph's large constants lie in files beside it.
  const sizeIn = (listed: PackManifest["files"], file = "") =>
    Object.entries(listed).reduce(
      (sum, [name, { bytes }]) => sum + (file !== "" && name.startsWith(file) ? bytes : 0),
      0,
    );
  const keysAndValues = 2 * layers * kvHeads * headDim * maxTokens * Float32Array.BYTES_PER_ELEMENT;
  const others = [encoder.file, fuser.file, projector?.file].map((file) => sizeIn(indexFiles, file));
  const weights = sizeIn(files, reader.file);
  return {
    reader: ON_CPU * weights + sizeIn(files, reader.tokensFile) + 2 * keysAndValues,
    readerOnCard: ON_CARD * weights + 2 * keysAndValues,
    beside: others.reduce((sum, bytes) => sum + bytes, sizeIn(files, embed.file)) + BESIDE_BYTES,
  };
}
