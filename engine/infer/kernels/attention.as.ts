// Attention over keys and values kept as int16: half the bytes of float32, and 13 bits and more of a row's largest number.
import { shorten } from "./levels.as";
import { CAPACITY, HEAD_DIM, HEADS, HEARD, KV, KV_HEADS, KV_LAYER, PADDING, PAST, QKV, ROWS } from "./plan";
import { exp4, most, total } from "./vectors.as";
import { word } from "./word.as";

/** Positions whose keys or values stay in the nearest cache while all heads of a task go over them. */
const TILE: i32 = 64;
/** Positions whose keys lie together; a cache has room for a multiple of them. */
const TOGETHER: i32 = PADDING;
/** Largest levels: products of a key and a query are summed in 32 bits over a head of up to 256, of a value and a weight over a tile. */
const KEY_TOP: f32 = 8191;
export const QUERY_TOP: f32 = 1023;
const VALUE_TOP: f32 = 8191;
const WEIGHT_TOP: f32 = 4095;

/** Keys of the kv heads, then values: levels of all positions. Behind them the levels' scales, likewise. */
@inline
function kvRow(layer: i32, part: i32, position: i32): usize {
  return <usize>word(KV) + <usize>layer * <usize>word(KV_LAYER) + (<usize>part * <usize>word(CAPACITY) + <usize>position) * <usize>word(HEAD_DIM) * 2;
}

@inline
function kvScale(layer: i32, part: i32, position: i32): usize {
  return kvRow(layer, 2 * word(KV_HEADS), 0) + <usize>(part * word(CAPACITY) + position) * 4;
}

/** A row `[headDim]` of float32 takes its place among the keys or values; it becomes levels where it lies. */
export function keep(layer: i32, part: i32, position: i32, row: usize): void {
  const isKey = part < word(KV_HEADS);
  const bytes = <usize>word(HEAD_DIM) * 2;
  store<f32>(kvScale(layer, part, position), shorten(row, row, word(HEAD_DIM), isKey ? KEY_TOP : VALUE_TOP));
  if (isKey) spread(row, kvRow(layer, part, position & -TOGETHER) + <usize>(position & (TOGETHER - 1)) * 4, bytes);
  else pair(row, kvRow(layer, part, position & ~1), bytes, (position & 1) == 0);
}

/** Two numbers of a key lie beside the same two of the positions next to it: a lane a position. */
function spread(row: usize, to: usize, bytes: usize): void {
  for (let n: usize = 0; n < bytes; n += 4, to += <usize>TOGETHER * 4) store<i32>(to, load<i32>(row + n));
}

/** Values of two positions lie together, number by number, as they are weighed. The first of them clears the second's place. */
function pair(row: usize, to: usize, bytes: usize, isFirst: bool): void {
  const zero = i32x4.splat(0), firsts = i32x4.splat(0xffff);
  for (let n: usize = 0; n < bytes; n += 16, to += 32) {
    const own = v128.load(row + n);
    if (isFirst) {
      v128.store(to, lowPairs(own, zero));
      v128.store(to, highPairs(own, zero), 16);
    } else {
      v128.store(to, v128.or(v128.and(v128.load(to), firsts), lowPairs(zero, own)));
      v128.store(to, v128.or(v128.and(v128.load(to, 16), firsts), highPairs(zero, own)), 16);
    }
  }
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
  const stride = <usize>(word(CAPACITY) + PADDING) * 4;
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

/** Scores of some positions, eight at a time; what lies behind the last is computed and not used. */
@inline
function score(query: usize, keys: usize, scales: usize, scores: usize, from: i32, until: i32, bytes: usize): void {
  const own = v128.load32_splat(query + bytes);
  const end = query + bytes;
  for (let p = from; p < until; p += TOGETHER) {
    let a = i32x4.splat(0), b = a;
    let k = keys + <usize>p * bytes;
    for (let q = query; q < end; q += 16, k += 128) {
      const q0 = v128.load32_splat(q), q1 = v128.load32_splat(q, 4), q2 = v128.load32_splat(q, 8), q3 = v128.load32_splat(q, 12);
      a = i32x4.add(a, i32x4.dot_i16x8_s(q0, v128.load(k)));
      b = i32x4.add(b, i32x4.dot_i16x8_s(q0, v128.load(k, 16)));
      a = i32x4.add(a, i32x4.dot_i16x8_s(q1, v128.load(k, 32)));
      b = i32x4.add(b, i32x4.dot_i16x8_s(q1, v128.load(k, 48)));
      a = i32x4.add(a, i32x4.dot_i16x8_s(q2, v128.load(k, 64)));
      b = i32x4.add(b, i32x4.dot_i16x8_s(q2, v128.load(k, 80)));
      a = i32x4.add(a, i32x4.dot_i16x8_s(q3, v128.load(k, 96)));
      b = i32x4.add(b, i32x4.dot_i16x8_s(q3, v128.load(k, 112)));
    }
    const scale = scales + <usize>p * 4, to = scores + <usize>p * 4;
    v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(a), f32x4.mul(own, v128.load(scale))));
    v128.store(to, f32x4.mul(f32x4.convert_i32x4_s(b), f32x4.mul(own, v128.load(scale, 16))), 16);
  }
}

/** `out += weights @ values` over a tile, two positions at a time; the tile's weights become levels. */
@inline
function mix(weights: usize, values: usize, out: usize, from: i32, until: i32, bytes: usize): void {
  const tile = weights + <usize>from * 4;
  const scale = f32x4.splat(shorten(tile, tile, (until - from + PADDING - 1) & -PADDING, WEIGHT_TOP));
  const first = values + <usize>from * bytes;
  const end = tile + <usize>(until - from) * 2;
  const both = bytes + bytes;
  let n: usize = 0;
  for (; n + 128 <= both; n += 128) {
    let a = i32x4.splat(0), b = a, c = a, d = a, e = a, f = a, g = a, h = a;
    let v = first + n;
    for (let at = tile; at < end; at += 4, v += both) {
      const w = v128.load32_splat(at);
      a = i32x4.add(a, i32x4.dot_i16x8_s(w, v128.load(v)));
      b = i32x4.add(b, i32x4.dot_i16x8_s(w, v128.load(v, 16)));
      c = i32x4.add(c, i32x4.dot_i16x8_s(w, v128.load(v, 32)));
      d = i32x4.add(d, i32x4.dot_i16x8_s(w, v128.load(v, 48)));
      e = i32x4.add(e, i32x4.dot_i16x8_s(w, v128.load(v, 64)));
      f = i32x4.add(f, i32x4.dot_i16x8_s(w, v128.load(v, 80)));
      g = i32x4.add(g, i32x4.dot_i16x8_s(w, v128.load(v, 96)));
      h = i32x4.add(h, i32x4.dot_i16x8_s(w, v128.load(v, 112)));
    }
    const own = out + n;
    addScaled(own, a, scale); addScaled(own + 16, b, scale); addScaled(own + 32, c, scale); addScaled(own + 48, d, scale);
    addScaled(own + 64, e, scale); addScaled(own + 80, f, scale); addScaled(own + 96, g, scale); addScaled(own + 112, h, scale);
  }
  for (; n < both; n += 16) {
    let a = i32x4.splat(0);
    let v = first + n;
    for (let at = tile; at < end; at += 4, v += both) a = i32x4.add(a, i32x4.dot_i16x8_s(v128.load32_splat(at), v128.load(v)));
    addScaled(out + n, a, scale);
  }
}

@inline
function lowPairs(one: v128, two: v128): v128 { return v128.shuffle<i16>(one, two, 0, 8, 1, 9, 2, 10, 3, 11); }

@inline
function highPairs(one: v128, two: v128): v128 { return v128.shuffle<i16>(one, two, 4, 12, 5, 13, 6, 14, 7, 15); }

@inline
function addScaled(to: usize, levels: v128, scale: v128): void {
  v128.store(to, f32x4.relaxed_madd(f32x4.convert_i32x4_s(levels), scale, v128.load(to)));
}

/** Scores -> weights of the values' levels. */
function softmax(scores: usize, scales: usize, count: i32): void {
  // What lies behind the end counts nothing.
  for (let p = count; p & (PADDING - 1); p++) store<f32>(scores + <usize>p * 4, -1e30);
  const end = scores + <usize>((count + PADDING - 1) & -PADDING) * 4;
  let size = v128.load(scores);
  for (let at = scores; at < end; at += 16) size = f32x4.relaxed_max(size, v128.load(at));
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

