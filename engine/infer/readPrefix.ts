// What a cache's positions stand for: which pseudo-tokens and tokens have been read, and how much of a new input that covers.
import type { ReaderInput } from "../domain.ts";

export class ReadPrefix {
  readonly #readerDim: number;
  #length = 0;
  #pseudoTokens: Float32Array = new Float32Array(0);
  #tokens: number[] = [];

  constructor(readerDim: number) {
    this.#readerDim = readerDim;
  }

  /** Positions read so far, pseudo-tokens included. */
  get length(): number {
    return this.#length;
  }

  /**
   * Forgets everything after the longest prefix shared with `input`, and always the input's last two positions: the caller
   * needs logits of the last, and a run of one row alone rounds otherwise than a run of several. Returns how many are kept.
   */
  rewindTo(input: ReaderInput): number {
    const shared = this.sharedWith(input);
    this.#length = shared;
    this.#pseudoTokens = input.pseudoTokens.slice();
    this.#tokens = Array.from(input.tokens.subarray(0, Math.max(0, shared - this.#pseudoRows())));
    return shared;
  }

  /** Forgets every position from `length` on; all of them must be tokens. */
  truncate(length: number): void {
    this.#tokens.length -= this.#length - length;
    this.#length = length;
  }

  /** `count` more positions were read; `tokens` are the ones among them. */
  extend(count: number, tokens: readonly number[]): void {
    this.#length += count;
    this.#tokens.push(...tokens);
  }

  #pseudoRows(): number {
    return this.#pseudoTokens.length / this.#readerDim;
  }

  /** Positions that `rewindTo` would keep. */
  sharedWith(input: ReaderInput): number {
    const total = input.pseudoTokens.length / this.#readerDim + input.tokens.length;
    return Math.max(0, Math.min(this.#commonWith(input), total - 2));
  }

  #commonWith(input: ReaderInput): number {
    const rows = Math.min(this.#pseudoTokens.length, input.pseudoTokens.length);
    let same = 0;
    while (same < rows && this.#pseudoTokens[same] === input.pseudoTokens[same]) same += 1;
    const areEqual = same === this.#pseudoTokens.length && same === input.pseudoTokens.length;
    if (!areEqual) return Math.min(Math.floor(same / this.#readerDim), this.#length);
    let tokens = 0;
    while (
      tokens < this.#tokens.length &&
      tokens < input.tokens.length &&
      this.#tokens[tokens] === input.tokens[tokens]
    )
      tokens += 1;
    return Math.min(this.#pseudoRows() + tokens, this.#length);
  }
}
