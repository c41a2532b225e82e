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

/** The two likeliest tokens of a row of logits. */
export interface Likeliest {
  readonly token: number;
  readonly runnerUp: number;
  readonly top: number;
  readonly second: number;
  /** Of e^(logit - top), over the whole vocabulary. */
  readonly sum: number;
}

/** Of `logits` `[rows, vocabSize]`; the smallest id wins a tie, so that every way of reading gives the same text. */
export function likeliest(logits: Float32Array, row: number, vocabSize: number): Likeliest {
  const from = row * vocabSize;
  let token = 0;
  let top = logits[from] as number;
  let second = Number.NEGATIVE_INFINITY;
  let runnerUp = token;
  for (let id = 1; id < vocabSize; id += 1) {
    const logit = logits[from + id] as number;
    if (logit > top) {
      second = top;
      runnerUp = token;
      top = logit;
      token = id;
    } else if (logit > second) {
      second = logit;
      runnerUp = id;
    }
  }
  let sum = 0;
  for (let id = 0; id < vocabSize; id += 1) sum += Math.exp((logits[from + id] as number) - top);
  return { token, runnerUp, top, second, sum };
}

/** The choice of a row of `logits`, whose likeliest may be `found` already. With `copied`, of its mixture with that token. */
export function choose(
  logits: Float32Array,
  row: number,
  vocabSize: number,
  copied?: Copied,
  { token, runnerUp, top, second, sum } = likeliest(logits, row, vocabSize),
): Choice {
  const logProb = -Math.log(sum);
  const plain = { token, logProb, runnerUp, margin: top - second };
  if (copied === undefined) return plain;
  const { weight } = copied;
  const logit = logits[row * vocabSize + copied.token] as number;
  const share = (1 - weight) * Math.exp(logit - top + logProb) + weight;
  return mixed(plain, copied.token, Math.log(share), Math.log(1 - weight));
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
