// When a generation ends: before a stop token, after enough lines, at its budget.
import type { GenerateOptions, Generation } from "./models.ts";

/** Per-token facts the stop rule needs; rows are token ids. */
export interface Vocabulary {
  /** How many line breaks the token holds. */
  readonly lineBreaks: Uint8Array;
  /** 1 where the token is white space only. */
  readonly isBlank: Uint8Array;
}

export class StopRule {
  readonly #options: GenerateOptions;
  readonly #vocabulary: Vocabulary;
  #tokens = 0;
  #lines = 0;
  #isLineBlank = true;

  constructor(options: GenerateOptions, vocabulary: Vocabulary) {
    this.#options = options;
    this.#vocabulary = vocabulary;
  }

  /** Whether `token` may not be taken. */
  endsBefore(token: number): boolean {
    return this.#options.stopTokens.includes(token);
  }

  /** Takes `token`; answers why generation ends with it, if it does. */
  endAfter(token: number): Generation["end"] | undefined {
    const { lineBreaks, isBlank } = this.#vocabulary;
    this.#tokens += 1;
    // A blank line does not count: the completion is the first line that says something.
    this.#isLineBlank &&= isBlank[token] === 1;
    if ((lineBreaks[token] ?? 0) > 0 && !this.#isLineBlank) {
      this.#lines += 1;
      this.#isLineBlank = true;
      if (this.#lines >= this.#options.maxLines) return "lines";
    }
    return this.#tokens >= this.#options.maxNewTokens ? "max-tokens" : undefined;
  }
}
