// The two likeliest of some outputs and what their probabilities are relative to: going over all of them again would cost a tenth
// of a token.
import { BEST_BYTES } from "./plan";
import { exp4, most, total } from "./vectors.as";

/** Logits `from..until` of a row -> `BEST_BYTES` at `to`. The smallest id wins a tie. */
export function summarise(logits: usize, from: i32, until: i32, to: usize): void {
  const first = logits + (<usize>from << 2);
  const end = logits + (<usize>until << 2);
  let tops = f32x4.splat(-Infinity), seconds = tops;
  for (let at = first; at < end; at += 16) {
    const own = v128.load(at);
    seconds = f32x4.relaxed_max(seconds, f32x4.relaxed_min(tops, own));
    tops = f32x4.relaxed_max(tops, own);
  }
  const top = most(tops);
  const all = f32x4.splat(top);
  const best = placeOf(all, first, until - from, -1);
  // The largest but one is a lane's second, or what another lane has at its top.
  const lane = best & 3;
  const own = i32x4.eq(i32x4.splat(lane), i32x4(0, 1, 2, 3));
  const second = most(v128.bitselect(seconds, tops, own));
  let sum = f32x4.splat(0);
  for (let at = first; at < end; at += 16) sum = f32x4.add(sum, exp4(f32x4.sub(v128.load(at), all)));
  store<i32>(to, from + best);
  store<i32>(to, from + placeOf(f32x4.splat(second), first, until - from, best), 4);
  store<f32>(to, top, 8);
  store<f32>(to, second, 12);
  store<f32>(to, total(sum), 16);
}

/** Of `count` parts that follow one another at `from`, what is so of all of them, likewise; `to` may be `from`. */
export function merge(from: usize, count: i32, to: usize): void {
  let best = load<i32>(from), runnerUp = load<i32>(from, 4);
  let top = load<f32>(from, 8), second = load<f32>(from, 12), sum = load<f32>(from, 16);
  for (let n = 1; n < count; n++) {
    from += BEST_BYTES;
    const own = load<f32>(from, 8);
    if (own > top) {
      const ownSecond = load<f32>(from, 12);
      runnerUp = ownSecond > top ? load<i32>(from, 4) : best;
      second = max(ownSecond, top);
      best = load<i32>(from);
      sum = sum * power(top - own) + load<f32>(from, 16);
      top = own;
      continue;
    }
    if (own > second) {
      second = own;
      runnerUp = load<i32>(from);
    }
    sum += load<f32>(from, 16) * power(own - top);
  }
  store<i32>(to, best);
  store<i32>(to, runnerUp, 4);
  store<f32>(to, top, 8);
  store<f32>(to, second, 12);
  store<f32>(to, sum, 16);
}

@inline
function power(x: f32): f32 { return f32x4.extract_lane(exp4(f32x4.splat(x)), 0); }

/** The first place of `wanted` other than `but`, of `count`; 0 where it is nowhere, since nothing equals what is no number. */
@inline
function placeOf(wanted: v128, first: usize, count: i32, but: i32): i32 {
  for (let at: i32 = 0; at < count; at += 4) {
    let found = i32x4.bitmask(f32x4.eq(v128.load(first + (<usize>at << 2)), wanted));
    if (but >= at && but < at + 4) found &= ~(1 << (but & 3));
    if (found != 0) return at + ctz(found);
  }
  return 0;
}
