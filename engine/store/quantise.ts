// Numbers in fewer bytes. A stored row says its precision, so rows of several may stand side by side.
import { fromBlob, toBlob } from "./blobs.ts";

/** Finest first. `bit` keeps signs alone, for vectors only: the sketches hold them. */
export const PRECISIONS = { float32: 0, int8: 1, bit: 2 } as const;
export type Precision = keyof typeof PRECISIONS;

/** Numbers that share a scale, so that one large number does not cost the others their digits. */
const SCALED = 64;

const NAMES: readonly Precision[] = ["float32", "int8", "bit"];

export function precisionOf(stored: number): Precision {
  const precision = NAMES[stored];
  if (precision === undefined) throw new RangeError(`precision ${stored}`);
  return precision;
}

/** A direction: int8 needs no scale, as nothing but cosine is asked of it. */
export function encodeVector(vector: Float32Array, precision: Precision): Uint8Array {
  if (precision === "bit") return new Uint8Array(0);
  if (precision === "float32") return toBlob(vector);
  const scale = 127 / largestOf(vector);
  return new Uint8Array(Int8Array.from(vector, (number) => rounded(number * scale)).buffer);
}

/** Unit length for what is not float32. For `bit` the bytes are signs, a bit a number, of a whole number of bytes. */
export function decodeVector(bytes: Uint8Array, precision: Precision): Float32Array {
  if (precision === "float32") return fromBlob(bytes);
  if (precision === "int8") return normalised(Float32Array.from(int8sOf(bytes)));
  const numbers = Float32Array.from({ length: 8 * bytes.length }, (_, n) => ((bytes[n >> 3] ?? 0) >> (n & 7)) & 1);
  return normalised(numbers.map((bit) => 2 * bit - 1));
}

/** Pseudo-tokens: int8 with a float32 scale for every 64 numbers, scales behind the numbers. */
export function encodeRows(numbers: Float32Array, precision: Precision): Uint8Array {
  if (precision === "float32") return toBlob(numbers);
  const blocks = Math.ceil(numbers.length / SCALED);
  const small = new Int8Array(numbers.length);
  const scales = new Float32Array(blocks);
  for (let block = 0; block < blocks; block += 1) {
    const from = block * SCALED;
    const to = Math.min(numbers.length, from + SCALED);
    const step = largestOf(numbers, from, to) / 127;
    scales[block] = step;
    for (let n = from; n < to; n += 1) small[n] = rounded((numbers[n] as number) / step);
  }
  const bytes = new Uint8Array(small.length + 4 * blocks);
  bytes.set(new Uint8Array(small.buffer));
  bytes.set(toBlob(scales), small.length);
  return bytes;
}

export function decodeRows(bytes: Uint8Array, precision: Precision): Float32Array {
  if (precision === "float32") return fromBlob(bytes);
  // length = n + 4 * ceil(n / SCALED)
  const blocks = Math.ceil(bytes.length / (SCALED + 4));
  const scales = fromBlob(bytes.subarray(bytes.length - 4 * blocks));
  const numbers = int8sOf(bytes.subarray(0, bytes.length - 4 * blocks));
  return Float32Array.from(numbers, (number, n) => number * (scales[Math.floor(n / SCALED)] ?? 0));
}

function int8sOf(bytes: Uint8Array): Int8Array {
  return new Int8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function largestOf(numbers: Float32Array, from = 0, to = numbers.length): number {
  let largest = 0;
  for (let n = from; n < to; n += 1) largest = Math.max(largest, Math.abs(numbers[n] as number));
  return Number.isFinite(largest) && largest > 0 ? largest : 1;
}

function rounded(number: number): number {
  return Math.max(-127, Math.min(127, Math.round(number)));
}

function normalised(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector);
  return length > 0 ? vector.map((number) => number / length) : vector;
}
