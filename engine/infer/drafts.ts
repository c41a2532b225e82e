// Drafts by looking up: where the last tokens stood before, what followed then may follow now (prompt lookup). Code repeats.

/** Tokens of one draft: the run that checks them costs little more than the run of one token. */
export const DRAFT_TOKENS = 3;

/** Fewer agreeing tokens are chance more often than not. */
const SHORTEST_MATCH = 2;
/** A longer agreement says nothing more. */
const LONGEST_MATCH = 8;

/** The tokens that followed the longest earlier agreement with the end of `written`, in `written` itself or in `sources`. */
export function draftFor(written: readonly number[], sources: readonly ArrayLike<number>[]): number[] {
  let best: { source: ArrayLike<number>; at: number; length: number } | undefined;
  for (const source of [written, ...sources]) {
    // From the end: of two agreements of one length the later is the nearer one.
    for (let at = source.length - 1; at >= SHORTEST_MATCH; at -= 1) {
      const length = agreement(written, source, at);
      if (length >= SHORTEST_MATCH && length > (best?.length ?? 0)) best = { source, at, length };
      if (best?.length === LONGEST_MATCH) break;
    }
  }
  if (best === undefined) return [];
  return Array.from(best.source).slice(best.at, best.at + DRAFT_TOKENS);
}

/** How many tokens before `at` in `source` are the last ones of `written`. */
function agreement(written: readonly number[], source: ArrayLike<number>, at: number): number {
  let length = 0;
  while (length < LONGEST_MATCH && length < at && source[at - 1 - length] === written[written.length - 1 - length])
    length += 1;
  return length;
}

/** Weight of the newest run in the averages. */
const NEWEST = 0.1;
/** While drafts do not pay, one in so many is tried all the same: texts and machines change. */
const RETRY = 16;

/** Whether drafts pay here: a run that checks one must give more tokens than runs of one token in the same time. */
export class DraftGain {
  #plainMs: number | undefined;
  #draftMs: number | undefined;
  #gained = 1;
  #refused = 0;

  get pays(): boolean {
    if (this.#plainMs === undefined || this.#draftMs === undefined) return true;
    if (this.#gained * this.#plainMs > this.#draftMs) return true;
    this.#refused += 1;
    return this.#refused % RETRY === 0;
  }

  /** A run that checked a draft, or none, gave `gained` tokens in `ms`. */
  took(isDraft: boolean, gained: number, ms: number): void {
    if (isDraft) {
      this.#draftMs = mixed(this.#draftMs, ms);
      this.#gained = mixed(this.#gained, gained);
    } else this.#plainMs = mixed(this.#plainMs, ms);
  }
}

function mixed(old: number | undefined, value: number): number {
  return old === undefined ? value : old + NEWEST * (value - old);
}
