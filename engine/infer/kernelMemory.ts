// The memory that the kernels' threads share: the plan, the weights in the kernels' order, and room for rows and caches.
import { ConstantReader } from "../pack/constantReader.ts";
import type { StoredConstant } from "../pack/onnxModel.ts";
import * as plan from "./kernels/plan.ts";
import type { KernelMatrix, KernelWeights } from "./kernelWeights.ts";
import type { KvShape } from "./kvCache.ts";
import { Memory, type SharedMemory } from "./webAssembly.ts";

/** Rows of one pass. */
export const MOST_ROWS = 8;
/** Positions whose keys or values are handed over at a time. */
export const HANDED = 256;

const LINE = 64;
const PAGE = 65536;
/** What 32-bit addresses reach. */
const MOST_PAGES = 65536;
const FLOAT = Float32Array.BYTES_PER_ELEMENT;
/** By kind. */
const BLOCK_BYTES: readonly number[] = [plan.Q4_BYTES, plan.Q8_BYTES, plan.INT8_BYTES];
/** Largest level of `int8` weights that the kernels can multiply without overflow. */
const INT8_TOP = 63;
/** A half's bits that stand for no number, and above. */
const INFINITE_HALF = 0x7c00;

export interface KernelMemory {
  readonly memory: SharedMemory;
  readonly words: Int32Array;
  readonly floats: Float32Array;
  /** Addresses of the caches. */
  readonly caches: readonly number[];
}

export interface KernelSize extends KvShape {
  readonly vocabSize: number;
  readonly maxTokens: number;
  readonly threads: number;
  readonly caches: number;
}

/** Undefined where it would be more than 32-bit addresses reach, or a weight has a level that the kernels cannot take. */
export async function kernelMemory(weights: KernelWeights, size: KernelSize): Promise<KernelMemory | undefined> {
  const { kind, heads, layers, head, norm, cos, sin, epsilon } = weights;
  const { kvHeads, headDim, readerDim, vocabSize, threads } = size;
  const ffn = layers[0]?.gate.outputs ?? 0;
  const width = heads * headDim;
  const capacity = Math.ceil(Math.min(size.maxTokens, cos.dims[0] ?? 0) / plan.PADDING) * plan.PADDING;
  let end: number = plan.FREE;
  const place = (bytes: number) => {
    const at = Math.ceil(end / LINE) * LINE;
    end = at + bytes;
    return at;
  };
  const rowsOf = (columns: number) => place(MOST_ROWS * columns * FLOAT);
  const placeOf = new Map<KernelMatrix | StoredConstant, readonly number[]>();
  const placeMatrix = (matrix: KernelMatrix) => {
    const { inputs, outputs, scales, bias } = matrix;
    const groups = (outputs / plan.GROUP) * (inputs / plan.BLOCK);
    placeOf.set(matrix, [
      place(groups * (BLOCK_BYTES[kind] ?? 0)),
      kind === plan.INT8 ? place(scales.place?.bytes ?? 0) : 0,
      bias === undefined ? 0 : place(bias.place?.bytes ?? 0),
    ]);
  };
  const constants = [...layers.flatMap((one) => [one.attentionNorm, one.mlpNorm]), norm, cos, sin];
  const matrices = [...layers.flatMap(({ qkv, output, gate, up, down }) => [qkv, output, gate, up, down]), head];
  for (const matrix of matrices) placeMatrix(matrix);
  for (const constant of constants) placeOf.set(constant, [place(constant.place?.bytes ?? 0)]);
  const layerBytes = 2 * kvHeads * capacity * (headDim * Int16Array.BYTES_PER_ELEMENT + FLOAT);
  const caches = Array.from({ length: size.caches }, () => place(layers.length * layerBytes + LINE));
  const widest = Math.max(readerDim, ffn, width);
  const group = heads / kvHeads;
  const scratchBytes = Math.max(
    // Floats, and their levels with scales.
    MOST_ROWS * widest * (FLOAT + 2),
    group * (capacity + plan.PADDING) * FLOAT,
    HANDED * headDim * FLOAT,
  );
  const scratchLines = Math.ceil(scratchBytes / LINE) * LINE;
  const values: Readonly<Record<number, number>> = {
    [plan.LAYERS]: layers.length,
    [plan.HEADS]: heads,
    [plan.KV_HEADS]: kvHeads,
    [plan.HEAD_DIM]: headDim,
    [plan.DIM]: readerDim,
    [plan.FFN]: ffn,
    [plan.VOCAB]: vocabSize,
    [plan.KIND]: kind,
    [plan.KV_LAYER]: layerBytes,
    [plan.CAPACITY]: capacity,
    [plan.X]: rowsOf(readerDim),
    [plan.QKV]: rowsOf(Math.max(readerDim, width + 2 * kvHeads * headDim)),
    [plan.HEARD]: rowsOf(width),
    [plan.WIDE]: rowsOf(ffn),
    [plan.LOGITS]: rowsOf(vocabSize),
    [plan.BEST]: place(MOST_ROWS * Math.ceil(vocabSize / plan.CHUNK) * plan.BEST_BYTES),
    [plan.COS]: placeOf.get(cos)?.[0] ?? 0,
    [plan.SIN]: placeOf.get(sin)?.[0] ?? 0,
    [plan.COUNTERS]: place((layers.length * plan.LAYER_OPERATIONS + 1) * plan.COUNTER_BYTES),
    [plan.SCRATCH]: place(scratchLines * threads),
    [plan.SCRATCH_BYTES]: scratchLines,
    [plan.TABLE]: place((layers.length * plan.LAYER_WORDS + 4) * 4),
    [plan.HEADS_A_TASK]: headsATask(heads, group, threads),
    [plan.THREADS]: threads,
  };
  const pages = Math.ceil(end / PAGE) + 1;
  if (pages > MOST_PAGES) return undefined;
  const memory = new Memory({ initial: pages, maximum: pages, shared: true });
  const words = new Int32Array(memory.buffer);
  const floats = new Float32Array(memory.buffer);
  for (const [word, value] of Object.entries(values)) words[plan.PLAN / 4 + Number(word)] = value;
  floats[plan.PLAN / 4 + plan.EPSILON] = epsilon;
  floats[plan.PLAN / 4 + plan.QUERY_SCALE] = 1 / Math.sqrt(headDim);
  const table = layers.flatMap(({ qkv, output, gate, up, down, attentionNorm, mlpNorm }) =>
    [qkv, output, gate, up, down, attentionNorm, mlpNorm].flatMap((one) => placeOf.get(one) ?? []),
  );
  words.set([...table, ...[head, norm].flatMap((one) => placeOf.get(one) ?? [])], (values[plan.TABLE] ?? 0) / 4);
  const files = new ConstantReader();
  try {
    const bytes = new Uint8Array(memory.buffer);
    for (const constant of constants) bytes.set(await files.read(constant), placeOf.get(constant)?.[0]);
    for (const matrix of matrices) {
      const [levels = 0, scales = 0, bias = 0] = placeOf.get(matrix) ?? [];
      if (matrix.bias !== undefined) bytes.set(await files.read(matrix.bias), bias);
      const [ownLevels, ownScales] = [await files.read(matrix.levels), await files.read(matrix.scales)];
      const fits =
        kind === plan.INT8
          ? writeInt8(bytes.subarray(levels), matrix, ownLevels)
          : writeBlocks(bytes.subarray(levels), matrix, kind, ownLevels, ownScales);
      if (!fits) return undefined;
      if (kind === plan.INT8) bytes.set(ownScales, scales);
    }
  } finally {
    await files.close();
  }
  return { memory, words, floats, caches };
}

/** As many of one key-value head's as can be without a thread having nothing to do. */
function headsATask(heads: number, group: number, threads: number): number {
  for (let each = group; each > 1; each -= 1) if (group % each === 0 && heads / each >= threads) return each;
  return 1;
}

/** Blocks of four outputs beside one another, scales behind each; false where the kernels cannot take a scale. */
function writeBlocks(
  target: Uint8Array,
  { inputs, outputs }: KernelMatrix,
  kind: number,
  levels: Uint8Array,
  scales: Uint8Array,
): boolean {
  const blocks = inputs / plan.BLOCK;
  const bytes = BLOCK_BYTES[kind] ?? 0;
  const words = levels.length / (outputs * blocks) / 4;
  const from = new Uint32Array(levels.buffer, levels.byteOffset, levels.length / 4);
  const floats = new Float32Array(scales.buffer, scales.byteOffset, scales.length / 4);
  const own = kind === plan.Q4 ? halves(floats) : floats;
  if (own === undefined) return false;
  const view = new DataView(target.buffer, target.byteOffset);
  for (let output = 0, word = 0, block = 0; output < outputs; output += 1) {
    const within = output % plan.GROUP;
    const group = Math.floor(output / plan.GROUP) * blocks * bytes;
    for (let at = group; at < group + blocks * bytes; at += bytes, block += 1) {
      let to = at + within * 4;
      for (let n = 0; n < words; n += 1, word += 1, to += plan.GROUP * 4)
        view.setUint32(to, from[word] as number, true);
      const behind = at + words * plan.GROUP * 4;
      if (kind === plan.Q4) view.setUint16(behind + within * 2, own[block] as number, true);
      else view.setFloat32(behind + within * 4, own[block] as number, true);
    }
  }
  return true;
}

/** Bits of the nearest half-precision numbers, none of them negative; undefined where one is too large. */
function halves(values: Float32Array): Uint16Array | undefined {
  // float32's bits of a number 2 ** 112 times smaller are a half's and 13 more, which are rounded off, ties to even.
  const bits = new Uint32Array(values.map((value) => value * 2 ** -112).buffer);
  const found = Uint16Array.from(bits, (own) => (own + 0xfff + ((own >>> 13) & 1)) >>> 13);
  return found.every((half) => half < INFINITE_HALF) ? found : undefined;
}

/** From `[inputs, outputs]`; false where a level is too large. */
function writeInt8(target: Uint8Array, { inputs, outputs }: KernelMatrix, bytes: Uint8Array): boolean {
  const levels = new Int8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  if (levels.some((level) => level > INT8_TOP || level < -INT8_TOP)) return false;
  const blocks = inputs / plan.BLOCK;
  // A line of outputs at a time, so that what is read is near.
  for (let from = 0; from < outputs; from += LINE) {
    const until = Math.min(outputs, from + LINE);
    for (let input = 0; input < inputs; input += 1) {
      const block = Math.floor(input / plan.BLOCK);
      for (let output = from; output < until; output += 1) {
        const group = (Math.floor(output / plan.GROUP) * blocks + block) * plan.GROUP * plan.BLOCK;
        const word = Math.floor((input % plan.BLOCK) / 4) * plan.GROUP + (output % plan.GROUP);
        target[group + word * 4 + (input % 4)] = (levels[input * outputs + output] as number) + plan.INT8_ZERO;
      }
    }
  }
  return true;
}
