// What a Qwen2-architecture model takes: bytes to fetch, bytes on the disk, bytes in memory. From its shape alone, so about.
import type { Qwen2Shape } from "./checkpoint.ts";
import type { MatrixFormat } from "./matrices.ts";
import type { PackManifest } from "./pack.ts";
import { tensorsOf } from "./qwen2Config.ts";

/** Bytes a weight takes in each format, its share of a scale included. */
const WEIGHT_BYTES: Readonly<Record<MatrixFormat, number>> = { fp32: 4, q8: 1.125, q4: 0.625, int8: 1 };

/** The runtime holds a graph's weights once more in part, in the order its kernels read them: measured at 0.5B and 1.5B in q4. */
const RESIDENT = 1.2;
/** The runtime, the encoder and the engine itself. */
const BESIDE_BYTES = 300e6;

/** Of a checkpoint in bfloat16, as they are published. */
export function checkpointBytes(shape: Qwen2Shape): number {
  return 2 * weightsOf(shape);
}

/** Of the token table's graph and the reader's. */
export function graphBytes(shape: Qwen2Shape, format: MatrixFormat): number {
  const { vocabSize, readerDim } = shape;
  const table = vocabSize * readerDim;
  // The table's graph has rows of int8; a tied output matrix is the same numbers once more.
  const isTied = shape.headTensor === undefined || !tensorsOf(shape).has("lm_head.weight");
  const read = weightsOf(shape) - (isTied ? 0 : table);
  return table * (format === "fp32" ? 4 : 1) + read * WEIGHT_BYTES[format];
}

/** While it completes, with two prefixes of `maxTokens` kept. */
export function memoryBytes(shape: Qwen2Shape, format: MatrixFormat): number {
  const { layers, kvHeads, headDim, maxTokens } = shape;
  const keysAndValues = 2 * layers * kvHeads * headDim * maxTokens * Float32Array.BYTES_PER_ELEMENT;
  return RESIDENT * graphBytes(shape, format) + 2 * keysAndValues + BESIDE_BYTES;
}

function weightsOf(shape: Qwen2Shape): number {
  return [...tensorsOf(shape).values()].reduce((sum, dims) => sum + dims.reduce((product, dim) => product * dim, 1), 0);
}

/** What a pack takes in memory, in bytes, by the sizes of its files. */
export interface PackMemory {
  /** The reader with its keys and values, wherever it runs. */
  readonly reader: number;
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
  return {
    reader: RESIDENT * sizeIn(files, reader.file) + 2 * keysAndValues,
    beside: others.reduce((sum, bytes) => sum + bytes, sizeIn(files, embed.file)) + BESIDE_BYTES,
  };
}
