// What followed the same tokens before, in the file or in code like it, is likely to follow here: the reader's distribution is
// mixed with that one token, as in kNN-LM (Khandelwal et al. 2020) with agreement of tokens in place of a distance of states.

/** Where to look, and how much to believe it. */
export interface Copying {
  /** Tokens before the cursor, further back than the reader reads. They end as the input's own text before the cursor does. */
  readonly before: Int32Array;
  /** Other texts: behind the cursor, retrieved chunks. Of two that agree equally the first counts. */
  readonly others: readonly Int32Array[];
  /** λ by the number of agreeing tokens, from one on; the last counts for longer agreements. Empty: nothing is mixed in. */
  readonly weights: readonly number[];
}

/** A token with its share λ: p = (1 − λ) · p_reader + λ. */
export interface Copied {
  readonly token: number;
  readonly weight: number;
}

/** The token behind the longest agreement with the end of `before` and `written`, the nearest of those in one text. */
export function copiedAfter({ before, others, weights }: Copying, written: readonly number[]): Copied | undefined {
  const longest = weights.length;
  const end: number[] = [];
  for (let back = 1; back <= longest; back += 1) {
    const token = written[written.length - back] ?? before[before.length + written.length - back];
    if (token === undefined) break;
    end.push(token);
  }
  let best = 0;
  let copied: number | undefined;
  for (const source of [before, ...others]) {
    for (let at = source.length - 1; at >= 1 && best < longest; at -= 1) {
      let length = 0;
      while (length < end.length && length < at && source[at - 1 - length] === end[length]) length += 1;
      if (length <= best) continue;
      best = length;
      copied = source[at];
    }
  }
  const weight = weights[best - 1];
  return copied === undefined || weight === undefined ? undefined : { token: copied, weight };
}
