// The tiny graph that a provider must run before it is trusted: the reader's own operators, once each, on made-up numbers,
// and the same arithmetic in plain JavaScript to compare with.
import { Message } from "../pack/protobuf.ts";
import type { Slot, Tensor } from "./session.ts";

/** A reader's graph keeps its numbers between operators in one of these. */
export type Precision = "float32" | "float16";
/** Bits of a weight in a block-quantised matrix. */
export type WeightBits = 4 | 8;

export interface ProbeGraph {
  /** An ONNX model. */
  readonly bytes: Uint8Array;
  readonly feeds: Readonly<Record<string, Tensor>>;
  readonly inputs: readonly Slot[];
  readonly outputs: readonly Slot[];
  /** Output `y`, `[tokens * DIM]`. */
  readonly expected: Float32Array;
}

const DIM = 64;
const HEADS = 2;
const HEAD_DIM = 32;
/** Queries, then one key head and one value head. */
const QKV = (HEADS + 2) * HEAD_DIM;
const PAST = 2;
const BLOCK = 32;
const EPSILON = 1e-6;
const FLOAT = 1;
const HALF = 10;

/** Kernels quantise activations to 8 bits, and half floats have 11; a wrong kernel is wrong by the size of the numbers. */
export const PROBE_TOLERANCE = 0.05;

/** Runtimes read a few tokens with one kernel and many with another, which begins at 32 in one of them. */
export const PROBE_LENGTHS = [3, 48] as const;

function inputsOf(tokens: number): Slot[] {
  return [
    { name: "x", type: "float32", dims: [1, tokens, DIM] },
    { name: "skip", type: "float32", dims: [1, tokens, DIM] },
    { name: "past_key", type: "float32", dims: [1, 1, PAST, HEAD_DIM] },
    { name: "past_value", type: "float32", dims: [1, 1, PAST, HEAD_DIM] },
    { name: "seqlens_k", type: "int32", dims: [1] },
    { name: "total_sequence_length", type: "int32", dims: [] },
  ];
}

interface Matrix {
  readonly rows: number;
  readonly levels: Uint8Array;
  readonly scales: Float32Array;
}

/** Reads `tokens` positions behind a few known ones. Inputs and outputs are float32 whatever the precision between them. */
export function probeGraph(precision: Precision, bits: WeightBits, tokens: number): ProbeGraph {
  const total = PAST + tokens;
  const next = numbers(20261121);
  const row = (count: number, size: number) => Float32Array.from({ length: count }, () => size * next());
  const x = row(tokens * DIM, 1);
  const skip = row(tokens * DIM, 1);
  const keys = row(PAST * HEAD_DIM, 1);
  const values = row(PAST * HEAD_DIM, 1);
  const gamma = row(DIM, 0.5).map((value) => 1 + value);
  const bias = row(QKV, 0.25);
  const qkv = matrix(QKV, bits, next);
  const output = matrix(DIM, bits, next);
  const angles = Array.from({ length: total * (HEAD_DIM / 2) }, (_, n) => {
    const position = Math.floor(n / (HEAD_DIM / 2));
    return position * 10_000 ** (-(n % (HEAD_DIM / 2)) / (HEAD_DIM / 2));
  });
  const cos = Float32Array.from(angles, Math.cos);
  const sin = Float32Array.from(angles, Math.sin);

  // In plain numbers.
  const sums = x.map((value, n) => value + (skip[n] as number));
  const normed = new Float32Array(tokens * DIM);
  for (let t = 0; t < tokens; t += 1) {
    const own = sums.subarray(t * DIM, (t + 1) * DIM);
    const size = Math.sqrt(own.reduce((sum, value) => sum + value * value, 0) / DIM + EPSILON);
    own.forEach((value, n) => {
      normed[t * DIM + n] = (value / size) * (gamma[n] as number);
    });
  }
  const packed = product(normed, qkv, bits).map((value, n) => value + (bias[n % QKV] as number));
  const heard = attention(packed, keys, values, cos, sin);
  const expected = product(heard, output, bits);

  const feeds = {
    x: { data: x, dims: [1, tokens, DIM] },
    skip: { data: skip, dims: [1, tokens, DIM] },
    past_key: { data: keys, dims: [1, 1, PAST, HEAD_DIM] },
    past_value: { data: values, dims: [1, 1, PAST, HEAD_DIM] },
    seqlens_k: { data: Int32Array.of(total - 1), dims: [1] },
    total_sequence_length: { data: Int32Array.of(total), dims: [] },
  };
  const inputs = inputsOf(tokens);
  const outputs: Slot[] = [{ name: "y", type: "float32", dims: [1, tokens, DIM] }];
  const bytes = modelOf({ inputs, outputs, precision, bits, gamma, bias, qkv, output, cos, sin });
  return { bytes, feeds, inputs, outputs, expected };
}

/** Numbers in (-1, 1), the same everywhere. */
function numbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  };
}

function matrix(rows: number, bits: WeightBits, next: () => number): Matrix {
  const zero = 2 ** (bits - 1);
  const levels = Uint8Array.from({ length: rows * DIM }, () => Math.floor((next() + 1) * zero));
  const scales = Float32Array.from({ length: (rows * DIM) / BLOCK }, () => (1 + Math.round(next() + 1)) / (8 * zero));
  return { rows, levels, scales };
}

/** `[T, DIM]` times the matrix `[rows, DIM]` transposed. */
function product(input: Float32Array, { rows, levels, scales }: Matrix, bits: WeightBits): Float32Array {
  const zero = 2 ** (bits - 1);
  const result = new Float32Array((input.length / DIM) * rows);
  for (let t = 0; t < input.length / DIM; t += 1) {
    for (let row = 0; row < rows; row += 1) {
      let sum = 0;
      for (let n = 0; n < DIM; n += 1) {
        const at = row * DIM + n;
        const weight = ((levels[at] as number) - zero) * (scales[Math.floor(at / BLOCK)] as number);
        sum += (input[t * DIM + n] as number) * weight;
      }
      result[t * rows + row] = sum;
    }
  }
  return result;
}

/** Causal attention of packed rows over PAST keys and values and their own; one key head for all query heads. */
function attention(
  packed: Float32Array,
  pastKeys: Float32Array,
  pastValues: Float32Array,
  cos: Float32Array,
  sin: Float32Array,
): Float32Array {
  const tokens = packed.length / QKV;
  const turned = (t: number, head: number) => {
    const half = HEAD_DIM / 2;
    const own = packed.subarray(t * QKV + head * HEAD_DIM, t * QKV + (head + 1) * HEAD_DIM);
    return own.map((value, n) => {
      const angle = (PAST + t) * half + (n % half);
      const other = (n < half ? -1 : 1) * (own[(n + half) % HEAD_DIM] as number);
      return value * (cos[angle] as number) + other * (sin[angle] as number);
    });
  };
  const rowsOf = (past: Float32Array, own: (t: number) => Float32Array) =>
    Array.from({ length: PAST + tokens }, (_, n) =>
      n < PAST ? past.subarray(n * HEAD_DIM, (n + 1) * HEAD_DIM) : own(n - PAST),
    );
  const keys = rowsOf(pastKeys, (t) => turned(t, HEADS));
  const values = rowsOf(pastValues, (t) => packed.subarray(t * QKV + (HEADS + 1) * HEAD_DIM, (t + 1) * QKV));
  const result = new Float32Array(tokens * DIM);
  for (let t = 0; t < tokens; t += 1) {
    for (let head = 0; head < HEADS; head += 1) {
      const query = turned(t, head);
      const weights = keys
        .slice(0, PAST + t + 1)
        .map((key) => Math.exp(key.reduce((sum, v, n) => sum + v * (query[n] as number), 0) / Math.sqrt(HEAD_DIM)));
      const whole = weights.reduce((sum, weight) => sum + weight, 0);
      weights.forEach((weight, n) => {
        values[n]?.forEach((value, i) => {
          result[t * DIM + head * HEAD_DIM + i] =
            (result[t * DIM + head * HEAD_DIM + i] as number) + (weight / whole) * value;
        });
      });
    }
  }
  return result;
}

interface Parts {
  readonly inputs: readonly Slot[];
  readonly outputs: readonly Slot[];
  readonly precision: Precision;
  readonly bits: WeightBits;
  readonly gamma: Float32Array;
  readonly bias: Float32Array;
  readonly qkv: Matrix;
  readonly output: Matrix;
  readonly cos: Float32Array;
  readonly sin: Float32Array;
}

function modelOf({ inputs, outputs, precision, bits, gamma, bias, qkv, output, cos, sin }: Parts): Uint8Array {
  const isHalf = precision === "float16";
  const graph = new Message();
  /** Inputs arrive in float32. */
  const inside = (name: string) => {
    if (!isHalf) return name;
    graph.message(1, node("Cast", [name], [`${name}.half`], "", { to: HALF }));
    return `${name}.half`;
  };
  const [x, skip, pastKey, pastValue] = ["x", "skip", "past_key", "past_value"].map(inside);
  const block = (rows: number) => ({ K: DIM, N: rows, bits, block_size: BLOCK, accuracy_level: 4 });
  const result = isHalf ? "y.half" : "y";
  graph.message(
    1,
    node("SkipSimplifiedLayerNormalization", [x, skip, "gamma"], ["normed"], OURS, { epsilon: [EPSILON] }),
  );
  graph.message(1, node("MatMulNBits", ["normed", "qkv.q", "qkv.s", "", "", "bias"], ["qkv"], OURS, block(QKV)));
  graph.message(
    1,
    node(
      "GroupQueryAttention",
      ["qkv", "", "", pastKey, pastValue, "seqlens_k", "total_sequence_length", "cos", "sin"],
      ["heard", "present_key", "present_value"],
      OURS,
      { num_heads: HEADS, kv_num_heads: 1, do_rotary: 1 },
    ),
  );
  graph.message(1, node("MatMulNBits", ["heard", "output.q", "output.s"], [result], OURS, block(DIM)));
  if (isHalf) graph.message(1, node("Cast", [result], ["y"], "", { to: FLOAT }));
  graph.text(2, "probe");
  const numbersOf = (name: string, dims: readonly number[], values: Float32Array) =>
    graph.message(5, constant(name, dims, isHalf ? HALF : FLOAT, bytesOf(isHalf ? halves(values) : values)));
  numbersOf("gamma", [DIM], gamma);
  numbersOf("bias", [QKV], bias);
  numbersOf("cos", [(2 * cos.length) / HEAD_DIM, HEAD_DIM / 2], cos);
  numbersOf("sin", [(2 * sin.length) / HEAD_DIM, HEAD_DIM / 2], sin);
  for (const [name, { rows, levels, scales }] of Object.entries({ qkv, output })) {
    const shape = [rows, DIM / BLOCK, (BLOCK * bits) / 8];
    graph.message(5, constant(`${name}.q`, shape, 2, bits === 8 ? levels : nibbles(levels)));
    numbersOf(`${name}.s`, [scales.length], scales);
  }
  for (const slot of inputs) graph.message(11, typedValue(slot));
  for (const slot of outputs) graph.message(12, typedValue(slot));
  return new Message()
    .integer(1, 9)
    .message(7, graph)
    .message(8, new Message().text(1, "").integer(2, 18))
    .message(8, new Message().text(1, OURS).integer(2, 1))
    .encode();
}

/** Domain of the runtime's own operators. */
const OURS = "com.microsoft";

/** Attributes: a number is an integer, a list of one a float. */
function node(
  kind: string,
  inputs: readonly (string | undefined)[],
  outputs: readonly string[],
  domain: string,
  attributes: Readonly<Record<string, number | readonly [number]>>,
): Message {
  const message = new Message();
  for (const input of inputs) message.text(1, input ?? "");
  for (const output of outputs) message.text(2, output);
  message.text(4, kind);
  for (const [name, value] of Object.entries(attributes)) {
    const attribute = new Message().text(1, name);
    message.message(
      5,
      typeof value === "number"
        ? attribute.integer(3, value).integer(20, 2)
        : attribute.float(2, value[0]).integer(20, 1),
    );
  }
  return message.text(7, domain);
}

function constant(name: string, dims: readonly number[], type: number, bytes: Uint8Array): Message {
  const tensor = new Message();
  for (const dim of dims) tensor.integer(1, dim);
  return tensor.integer(2, type).text(8, name).bytes(9, bytes);
}

function typedValue({ name, type, dims }: Slot): Message {
  const shape = new Message();
  for (const dim of dims) shape.message(1, new Message().integer(1, Number(dim)));
  const tensor = new Message().integer(1, type === "float32" ? FLOAT : 6).message(2, shape);
  return new Message().text(1, name).message(2, new Message().message(1, tensor));
}

/** Two levels a byte, the first in the low half. */
function nibbles(levels: Uint8Array): Uint8Array {
  return Uint8Array.from({ length: levels.length / 2 }, (_, n) => {
    return (levels[2 * n] as number) | ((levels[2 * n + 1] as number) << 4);
  });
}

/** IEEE half floats, cut off rather than rounded; numbers below the smallest normal become zero. */
function halves(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.slice().buffer);
  return Uint16Array.from(bits, (word) => {
    const exponent = ((word >>> 23) & 0xff) - 127 + 15;
    const sign = (word >>> 16) & 0x8000;
    return exponent <= 0 ? sign : sign | (exponent << 10) | ((word >>> 13) & 0x3ff);
  });
}

function bytesOf(values: Float32Array | Uint16Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
