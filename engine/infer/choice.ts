// The reader's choice at one position: the likeliest token, and how sure it is.

export interface Choice {
  readonly token: number;
  /** Natural logarithm of the token's probability. */
  readonly logProb: number;
  /** The second likeliest token; the likeliest with a vocabulary of one. */
  readonly runnerUp: number;
  /** How much larger its log-probability is than the runner-up's; Infinity with a vocabulary of one. */
  readonly margin: number;
}

/** `logits` `[rows, vocabSize]`; the smallest id wins a tie, so that every way of reading gives the same text. */
export function choose(logits: Float32Array, row: number, vocabSize: number): Choice {
  const from = row * vocabSize;
  let best = 0;
  let top = logits[from] as number;
  let second = Number.NEGATIVE_INFINITY;
  let runnerUp = best;
  for (let id = 1; id < vocabSize; id += 1) {
    const logit = logits[from + id] as number;
    if (logit > top) {
      second = top;
      runnerUp = best;
      top = logit;
      best = id;
    } else if (logit > second) {
      second = logit;
      runnerUp = id;
    }
  }
  let sum = 0;
  for (let id = 0; id < vocabSize; id += 1) sum += Math.exp((logits[from + id] as number) - top);
  return { token: best, logProb: -Math.log(sum), runnerUp, margin: top - second };
}
