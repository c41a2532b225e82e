// Keys and values of what the reader has read. Owned here and not by the runtime, so that a run returns only its new rows
// and the cache can be rewound to any common prefix for free.
import type { ReaderInput } from "../domain.ts";
import type { Tensor } from "./session.ts";

/** Capacity grows in steps of this many positions: one reallocation in 256 tokens, at most 255 wasted rows. */
const STEP = 256;

export interface KvShape {
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly readerDim: number;
}

export class KvCache {
  readonly #shape: KvShape;
  /** Per layer [keys, values], each `[kvHeads, capacity, headDim]`. */
  #rows: [Float32Array, Float32Array][];
  #capacity = 0;
  #length = 0;
  #pseudoTokens: Float32Array = new Float32Array(0);
  #tokens: number[] = [];

  constructor(shape: KvShape) {
    this.#shape = shape;
    this.#rows = Array.from({ length: shape.layers }, () => [new Float32Array(0), new Float32Array(0)]);
  }

  /** Positions read so far, pseudo-tokens included. */
  get length(): number {
    return this.#length;
  }

  /**
   * Forgets everything after the longest prefix shared with `input`, and always the input's last position, whose logits
   * the caller needs. Returns the number of positions kept.
   */
  rewindTo(input: ReaderInput): number {
    const total = input.pseudoTokens.length / this.#shape.readerDim + input.tokens.length;
    const shared = Math.min(this.#sharedWith(input), total - 1);
    this.#length = shared;
    this.#pseudoTokens = input.pseudoTokens.slice();
    this.#tokens = Array.from(input.tokens.subarray(0, Math.max(0, shared - this.#pseudoRows())));
    return shared;
  }

  /** Room for `extra` more positions. */
  reserve(extra: number): void {
    const needed = this.#length + extra;
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
    this.#rows.forEach(([keys, values], layer) => {
      this.#write(keys, present[`present.${layer}.key`]?.data as Float32Array, count);
      this.#write(values, present[`present.${layer}.value`]?.data as Float32Array, count);
    });
    this.#length += count;
    this.#tokens.push(...tokens);
  }

  #pseudoRows(): number {
    return this.#pseudoTokens.length / this.#shape.readerDim;
  }

  #sharedWith(input: ReaderInput): number {
    const { readerDim } = this.#shape;
    const rows = Math.min(this.#pseudoTokens.length, input.pseudoTokens.length);
    let same = 0;
    while (same < rows && this.#pseudoTokens[same] === input.pseudoTokens[same]) same += 1;
    const areEqual = same === this.#pseudoTokens.length && same === input.pseudoTokens.length;
    if (!areEqual) return Math.min(Math.floor(same / readerDim), this.#length);
    let tokens = 0;
    while (
      tokens < this.#tokens.length &&
      tokens < input.tokens.length &&
      this.#tokens[tokens] === input.tokens[tokens]
    )
      tokens += 1;
    return Math.min(this.#pseudoRows() + tokens, this.#length);
  }

  #moved(old: Float32Array, capacity: number): Float32Array {
    const { kvHeads, headDim } = this.#shape;
    const grown = new Float32Array(kvHeads * capacity * headDim);
    for (let head = 0; head < kvHeads; head += 1) {
      const from = head * this.#capacity * headDim;
      grown.set(old.subarray(from, from + this.#length * headDim), head * capacity * headDim);
    }
    return grown;
  }

  #write(target: Float32Array, rows: Float32Array, count: number): void {
    const { kvHeads, headDim } = this.#shape;
    for (let head = 0; head < kvHeads; head += 1) {
      const at = (head * this.#capacity + this.#length) * headDim;
      target.set(rows.subarray(head * count * headDim, (head + 1) * count * headDim), at);
    }
  }
}
