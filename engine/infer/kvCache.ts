// Keys and values of what the reader has read. Owned here and not by the runtime, so that a run returns only its new rows
// and the cache can be rewound to any common prefix for free.
import type { ReaderInput } from "../domain.ts";
import type { Kernels, Predictions } from "./kernels.ts";
import { ReadPrefix } from "./readPrefix.ts";
import type { Session, Tensor } from "./session.ts";

/** A head's rows begin a multiple of this many positions after another's: what a run is handed is copied by it, room and all. */
const STEP = 64;
/** Arrays grow by this many positions. */
const GROWTH = 256;

export interface KvShape {
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly readerDim: number;
}

/** Keys and values of what was read, wherever they lie. */
export interface KeyValues {
  /** Positions read so far, pseudo-tokens included. */
  readonly length: number;
  /** See `ReadPrefix`, all three. */
  sharedWith(input: ReaderInput): number;
  rewindTo(input: ReaderInput): number;
  truncate(length: number): void;
  /** One run over `count` more positions, `tokens` the ones among them; answers what the graph gives beside keys and values. */
  run(
    session: Session,
    feeds: Readonly<Record<string, Tensor>>,
    count: number,
    tokens: readonly number[],
  ): Promise<Readonly<Record<string, Tensor>>>;
  /** A pass of the kernels over at most `MOST_ROWS` tokens, which says something of each; undefined where there are none. */
  pass(rows: Float32Array, tokens: readonly number[]): Predictions | undefined;
  close(): void;
}

export class KvCache implements KeyValues {
  readonly #shape: KvShape;
  readonly #read: ReadPrefix;
  /** Per layer [keys, values], each beginning with `[kvHeads, stride, headDim]`. */
  #rows: [Float32Array, Float32Array][];
  #stride = 0;
  readonly #kernels: Kernels | undefined;
  /** The kernels' own copy. */
  readonly #copy: number;
  /** Positions whose rows lie here. Those behind them only the kernels know: the next input forgets them, so that what it gives
   * does not hang on what was written before. */
  #own = 0;

  constructor(shape: KvShape, kernels?: Kernels) {
    this.#shape = shape;
    this.#kernels = kernels;
    this.#copy = kernels?.takeCache() ?? 0;
    this.#read = new ReadPrefix(shape.readerDim);
    this.#rows = Array.from({ length: shape.layers }, () => [new Float32Array(0), new Float32Array(0)]);
  }

  get length(): number {
    return this.#read.length;
  }

  sharedWith(input: ReaderInput): number {
    return Math.min(this.#own, this.#read.sharedWith(input));
  }

  rewindTo(input: ReaderInput): number {
    if (this.length > this.#own) this.#read.truncate(this.#own);
    this.#own = this.#read.rewindTo(input);
    return this.#own;
  }

  truncate(length: number): void {
    this.#read.truncate(length);
    this.#own = Math.min(this.#own, length);
  }

  async run(
    session: Session,
    feeds: Readonly<Record<string, Tensor>>,
    count: number,
    tokens: readonly number[],
  ): Promise<Readonly<Record<string, Tensor>>> {
    const results = await session.run({ ...feeds, ...this.past() });
    this.append(results, count, tokens);
    return results;
  }

  pass(rows: Float32Array, tokens: readonly number[]): Predictions | undefined {
    if (this.#kernels === undefined) return undefined;
    const predictions = this.#kernels.run(this.#copy, this.length, rows, tokens.length);
    this.#read.extend(tokens.length, tokens);
    return predictions;
  }

  close(): void {
    this.#rows = [];
  }

  /** Graph inputs `past_key_values.{l}.key|value`: what was read, and little room behind it. */
  past(): Record<string, Tensor> {
    const { kvHeads, headDim } = this.#shape;
    this.#lay(this.length);
    const dims = [1, kvHeads, this.#stride, headDim];
    const size = kvHeads * this.#stride * headDim;
    const feeds: Record<string, Tensor> = {};
    this.#rows.forEach(([keys, values], layer) => {
      feeds[`past_key_values.${layer}.key`] = { data: keys.subarray(0, size), dims };
      feeds[`past_key_values.${layer}.value`] = { data: values.subarray(0, size), dims };
    });
    return feeds;
  }

  /** Takes the new rows of a run, `present.{l}.key|value` `[1, kvHeads, count, headDim]`; `tokens` are the ones among them. */
  append(present: Readonly<Record<string, Tensor>>, count: number, tokens: readonly number[]): void {
    this.#lay(this.length + count);
    this.#rows.forEach((parts, layer) => {
      for (const part of [0, 1] as const) {
        const rows = present[`present.${layer}.${part === 0 ? "key" : "value"}`]?.data as Float32Array;
        this.#write(parts[part], rows, count);
        this.#kernels?.keep(this.#copy, layer, part, rows, this.length, count);
      }
    });
    this.#read.extend(count, tokens);
    this.#own = this.length;
  }

  /** Heads apart by room for `positions` each. */
  #lay(positions: number): void {
    const stride = Math.ceil(positions / STEP) * STEP;
    if (stride === this.#stride) return;
    this.#rows = this.#rows.map(([keys, values]) => [this.#moved(keys, stride), this.#moved(values, stride)]);
    this.#stride = stride;
  }

  /** The rows at their places for another stride, in the same array where they fit. */
  #moved(rows: Float32Array, stride: number): Float32Array {
    const { kvHeads, headDim } = this.#shape;
    const fits = kvHeads * stride * headDim <= rows.length;
    const target = fits ? rows : new Float32Array(kvHeads * Math.ceil(stride / GROWTH) * GROWTH * headDim);
    for (let n = 0; n < kvHeads; n += 1) {
      // In one array no row may be written over before it has moved.
      const head = stride > this.#stride ? kvHeads - 1 - n : n;
      const from = head * this.#stride * headDim;
      const to = head * stride * headDim;
      if (fits) rows.copyWithin(to, from, from + this.length * headDim);
      else target.set(rows.subarray(from, from + this.length * headDim), to);
    }
    return target;
  }

  #write(target: Float32Array, rows: Float32Array, count: number): void {
    const { kvHeads, headDim } = this.#shape;
    for (let head = 0; head < kvHeads; head += 1) {
      const at = (head * this.#stride + this.length) * headDim;
      target.set(rows.subarray(head * count * headDim, (head + 1) * count * headDim), at);
    }
  }
}
