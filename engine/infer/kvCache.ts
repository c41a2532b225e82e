// Keys and values of what the reader has read. Owned here and not by the runtime, so that a run returns only its new rows
// and the cache can be rewound to any common prefix for free.
import type { ReaderInput } from "../domain.ts";
import type { Kernels, Predictions } from "./kernels.ts";
import { ReadPrefix } from "./readPrefix.ts";
import type { Session, Tensor } from "./session.ts";

/** Capacity grows in steps of this many positions: one reallocation in 256 tokens, at most 255 wasted rows. */
const STEP = 256;

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
  /** Per layer [keys, values], each `[kvHeads, capacity, headDim]`. */
  #rows: [Float32Array, Float32Array][];
  #capacity = 0;
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
    this.reserve(count);
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

  /** Room for `extra` more positions. */
  reserve(extra: number): void {
    const needed = this.length + extra;
    if (needed <= this.#capacity) return;
    const capacity = Math.ceil(needed / STEP) * STEP;
    this.#rows = this.#rows.map(([keys, values]) => [this.#moved(keys, capacity), this.#moved(values, capacity)]);
    this.#capacity = capacity;
  }

  /** Graph inputs `past_key_values.{l}.key|value`, views of the whole capacity. */
  past(): Record<string, Tensor> {
    const { kvHeads, headDim } = this.#shape;
    const dims = [1, kvHeads, this.#capacity, headDim];
    const feeds: Record<string, Tensor> = {};
    this.#rows.forEach(([keys, values], layer) => {
      feeds[`past_key_values.${layer}.key`] = { data: keys, dims };
      feeds[`past_key_values.${layer}.value`] = { data: values, dims };
    });
    return feeds;
  }

  /** Takes the new rows of a run, `present.{l}.key|value` `[1, kvHeads, count, headDim]`; `tokens` are the ones among them. */
  append(present: Readonly<Record<string, Tensor>>, count: number, tokens: readonly number[]): void {
    this.reserve(count);
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

  #moved(old: Float32Array, capacity: number): Float32Array {
    const { kvHeads, headDim } = this.#shape;
    const grown = new Float32Array(kvHeads * capacity * headDim);
    for (let head = 0; head < kvHeads; head += 1) {
      const from = head * this.#capacity * headDim;
      grown.set(old.subarray(from, from + this.length * headDim), head * capacity * headDim);
    }
    return grown;
  }

  #write(target: Float32Array, rows: Float32Array, count: number): void {
    const { kvHeads, headDim } = this.#shape;
    for (let head = 0; head < kvHeads; head += 1) {
      const at = (head * this.#capacity + this.length) * headDim;
      target.set(rows.subarray(head * count * headDim, (head + 1) * count * headDim), at);
    }
  }
}
