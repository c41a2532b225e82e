// Attention over keys and values kept as int16: half the bytes of float32, and 13 bits and more of a row's largest number.
import { shorten } from "./levels.as";
import { CAPACITY, HEAD_DIM, HEADS, HEARD, KV, KV_HEADS, KV_LAYER, PAST, QKV, ROWS } from "./plan";
import { exp4, most, total, totalsOfIntegers } from "./vectors.as";
import { word } from "./word.as";

/** Positions whose keys or values stay in the nearest cache while all heads of a task go over them. */
const TILE: i32 = 64;
/** Largest levels: products of a key and a query are summed in 32 bits over a head of up to 256. */
const KEY_TOP: f32 = 8191;
export const QUERY_TOP: f32 = 1023;
const VALUE_TOP: f32 = 32767;

/** Keys of the kv heads, then values: levels of all positions. Behind them the levels' scales, likewise. */
@inline
function kvRow(layer: i32, part: i32, position: i32): usize {
  return <usize>word(KV) + <usize>layer * <usize>word(KV_LAYER) + (<usize>part * <usize>word(CAPACITY) + <usize>position) * <usize>word(HEAD_DIM) * 2;
}

@inline
function kvScale(layer: i32, part: i32, position: i32): usize {
  return kvRow(layer, 2 * word(KV_HEADS), 0) + <usize>(part * word(CAPACITY) + position) * 4;
}

/** A row `[headDim]` of float32 takes its place among the keys or values. */
export function keep(layer: i32, part: i32, position: i32, row: usize): void {
  shorten(row, kvRow(layer, part, position), word(HEAD_DIM), part < word(KV_HEADS) ? KEY_TOP : VALUE_TOP, kvScale(layer, part, position));
}

/** Takes over `count` rows of one part, `[count, headDim]` at `rows`. */
export function keepRows(layer: i32, part: i32, position: i32, rows: usize, count: i32): void {
  for (let n = 0; n < count; n++) keep(layer, part, position + n, rows + <usize>(n * word(HEAD_DIM)) * 4);
}

/** Query heads `first` and on, `count` of one kv head, each row over all positions before it and its own. */
export function attend(layer: i32, first: i32, each: i32, scratch: usize): void {
  const heads = word(HEADS), kvHeads = word(KV_HEADS), headDim = word(HEAD_DIM), rows = word(ROWS), past = word(PAST);
  const width = (heads + 2 * kvHeads) * headDim;
  const bytes = <usize>headDim * 2;
  const kvHead = first / (heads / kvHeads);
  const stride = <usize>(word(CAPACITY) + 4) * 4;
  const keys = kvRow(layer, kvHead, 0), keyScales = kvScale(layer, kvHead, 0);
  const values = kvRow(layer, kvHeads + kvHead, 0), valueScales = kvScale(layer, kvHeads + kvHead, 0);
  for (let t = 0; t < rows; t++) {
    const count = past + t + 1;
    const q = <usize>word(QKV) + <usize>(t * width + first * headDim) * 4;
    const out = <usize>word(HEARD) + <usize>(t * heads * headDim + first * headDim) * 4;
    for (let from = 0; from < count; from += TILE) {
      const until = min(count, from + TILE);
      for (let head = 0; head < each; head++)
        score(q + <usize>head * bytes * 2, keys, keyScales, scratch + <usize>head * stride, from, until, bytes);
    }
    for (let head = 0; head < each; head++) {
      softmax(scratch + <usize>head * stride, valueScales, count);
      memory.fill(out + <usize>head * bytes * 2, 0, bytes * 2);
    }
    for (let from = 0; from < count; from += TILE) {
      const until = min(count, from + TILE);
      for (let head = 0; head < each; head++)
        mix(scratch + <usize>head * stride, values, out + <usize>head * bytes * 2, from, until, bytes);
    }
  }
}

/** Scores of some positions, four at a time; what lies behind the last is computed and not used. */
@inline
function score(query: usize, keys: usize, scales: usize, scores: usize, from: i32, until: i32, bytes: usize): void {
  const own = v128.load32_splat(query + bytes);
  for (let p = from; p < until; p += 4) {
    let k = keys + <usize>p * bytes;
    let a = i32x4.splat(0), b = a, c = a, d = a;
    for (let n: usize = 0; n < bytes; n += 32, k += 32) {
      const q0 = v128.load(query + n), q1 = v128.load(query + n, 16);
      a = dot(q0, q1, k, a);
      b = dot(q0, q1, k + bytes, b);
      c = dot(q0, q1, k + bytes + bytes, c);
      d = dot(q0, q1, k + bytes + bytes + bytes, d);
    }
    const sum = f32x4.convert_i32x4_s(totalsOfIntegers(a, b, c, d));
    v128.store(scores + <usize>p * 4, f32x4.mul(sum, f32x4.mul(own, v128.load(scales + <usize>p * 4))));
  }
}

@inline
function dot(q0: v128, q1: v128, k: usize, sum: v128): v128 {
  return i32x4.add(i32x4.dot_i16x8_s(q1, v128.load(k, 16)), i32x4.add(i32x4.dot_i16x8_s(q0, v128.load(k)), sum));
}

/** `out += weights @ values` over some positions. */
@inline
function mix(weights: usize, values: usize, out: usize, from: i32, until: i32, bytes: usize): void {
  let n: usize = 0;
  for (; n + 64 <= bytes; n += 64) {
    const own = out + n + n;
    let a = v128.load(own), b = v128.load(own, 16), c = v128.load(own, 32), d = v128.load(own, 48);
    let e = v128.load(own, 64), f = v128.load(own, 80), g = v128.load(own, 96), h = v128.load(own, 112);
    let v = values + <usize>from * bytes + n;
    for (let p = from; p < until; p++, v += bytes) {
      const w = v128.load32_splat(weights + <usize>p * 4);
      a = f32x4.relaxed_madd(w, value(v, 0), a);
      b = f32x4.relaxed_madd(w, value(v, 8), b);
      c = f32x4.relaxed_madd(w, value(v, 16), c);
      d = f32x4.relaxed_madd(w, value(v, 24), d);
      e = f32x4.relaxed_madd(w, value(v, 32), e);
      f = f32x4.relaxed_madd(w, value(v, 40), f);
      g = f32x4.relaxed_madd(w, value(v, 48), g);
      h = f32x4.relaxed_madd(w, value(v, 56), h);
    }
    v128.store(own, a); v128.store(own, b, 16); v128.store(own, c, 32); v128.store(own, d, 48);
    v128.store(own, e, 64); v128.store(own, f, 80); v128.store(own, g, 96); v128.store(own, h, 112);
  }
  for (; n < bytes; n += 8) {
    let a = v128.load(out + n + n);
    let v = values + <usize>from * bytes + n;
    for (let p = from; p < until; p++, v += bytes) a = f32x4.relaxed_madd(v128.load32_splat(weights + <usize>p * 4), value(v, 0), a);
    v128.store(out + n + n, a);
  }
}

@inline
function value(v: usize, at: usize): v128 { return f32x4.convert_i32x4_s(v128.load_ext<i16>(v + at)); }

/** Scores -> weights of the values' levels. */
function softmax(scores: usize, scales: usize, count: i32): void {
  // Lanes behind the end count nothing.
  for (let p = count; p & 3; p++) store<f32>(scores + <usize>p * 4, -1e30);
  const end = scores + <usize>((count + 3) & ~3) * 4;
  let size = v128.load(scores);
  for (let at = scores; at < end; at += 16) size = f32x4.max(size, v128.load(at));
  const top = f32x4.splat(most(size));
  let sum = f32x4.splat(0);
  for (let at = scores; at < end; at += 16) {
    const e = exp4(f32x4.sub(v128.load(at), top));
    v128.store(at, e);
    sum = f32x4.add(sum, e);
  }
  const share = f32x4.splat(1 / total(sum));
  for (let at = scores; at < end; at += 16, scales += 16) v128.store(at, f32x4.mul(f32x4.mul(v128.load(at), share), v128.load(scales)));
}

