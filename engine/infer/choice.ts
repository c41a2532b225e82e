// The reader's choice at one position: the likeliest token, and how sure it is.
import type { Copied } from "./copying.ts";

export interface Choice {
  readonly token: number;
  /** Natural logarithm of the token's probability. */
  readonly logProb: number;
  /** The second likeliest token; the likeliest with a vocabulary of one. */
  readonly runnerUp: number;
  /** How much larger its log-probability is than the runner-up's; Infinity with a vocabulary of one. */
  readonly margin: number;
}

/**
 * `logits` `[rows, vocabSize]`; the smallest id wins a tie, so that every way of reading gives the same text. With `copied`
 * all is said of the reader's distribution mixed with that token.
 */
export function choose(logits: Float32Array, row: number, vocabSize: number, copied?: Copied): Choice {
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
  const logProb = -Math.log(sum);
  const plain = { token: best, logProb, runnerUp, margin: top - second };
  if (copied === undefined) return plain;
  const { token, weight } = copied;
  const share = (1 - weight) * Math.exp((logits[from + token] as number) - top + logProb) + weight;
  return mixed(plain, token, Math.log(share), Math.log(1 - weight));
}

/** `copied` has log-probability `logProb` now; every other token has `less` more, which is below 0. */
function mixed(plain: Choice, copied: number, logProb: number, less: number): Choice {
  const { token, runnerUp } = plain;
  const first = plain.logProb + less;
  const second = first - plain.margin;
  if (copied === token) return { token, logProb, runnerUp, margin: logProb - second };
  if (logProb > first) return { token: copied, logProb, runnerUp: token, margin: logProb - first };
  if (logProb > second) return { token, logProb: first, runnerUp: copied, margin: first - logProb };
  return { token, logProb: first, runnerUp, margin: first - second };
}
