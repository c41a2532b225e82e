// Products of quantised rows and matrices, eight outputs at a time: bytes times bytes, summed in integers.
import { BLOCK, GROUP, INT8_BYTES, Q4, Q4_BYTES, Q8, Q8_BYTES, SUM_POWER } from "./plan";
import { rowBytes } from "./levels.as";
import { LOW, ONES, SIXTEENS } from "./vectors.as";

/** `out[t, from..until] = input[t] @ matrix.T + bias`. Weights lie in groups of eight outputs, block by block. */
export function multiply(quantised: usize, rows: i32, inputs: i32, matrix: usize, from: i32, until: i32, out: usize, width: i32, kind: i32): void {
  const weights = <usize>load<u32>(matrix), scales = <usize>load<u32>(matrix, 4), bias = <usize>load<u32>(matrix, 8);
  const blocks = inputs / BLOCK;
  const bytesOfRow = rowBytes(inputs);
  const group = <usize>blocks * (kind == Q4 ? Q4_BYTES : kind == Q8 ? Q8_BYTES : INT8_BYTES);
  for (let n = from; n < until; n += GROUP) {
    const own = weights + <usize>(n / GROUP) * group;
    for (let t = 0; t < rows; t++) {
      const levels = quantised + <usize>t * bytesOfRow;
      const to = out + <usize>(t * width + n) * 4;
      if (kind == Q4) eightQ4(levels, own, blocks, to);
      else if (kind == Q8) eightQ8(levels, own, blocks, to);
      else eightInt8(levels, own, scales + <usize>n * 4, blocks, to);
      if (bias == 0) continue;
      const added = bias + <usize>n * 4;
      v128.store(to, f32x4.add(v128.load(to), v128.load(added)));
      v128.store(to, f32x4.add(v128.load(to, 16), v128.load(added, 16)), 16);
    }
  }
}

/** Four inputs' products with each of four outputs, two sums of two. The levels of the weights are the lower halves of `v`. */
@inline
function lows(v: v128, levels: v128, low: v128): v128 { return i16x8.relaxed_dot_i8x16_i7x16_s(levels, v128.and(v, low)); }

@inline
function highs(v: v128, levels: v128, low: v128): v128 { return lows(i16x8.shr_u(v, 4), levels, low); }

@inline
function both(v: v128, even: v128, odd: v128, low: v128): v128 { return i16x8.add(lows(v, even, low), highs(v, odd, low)); }

/** A block's sums fit 16 bits: 32 products of at most 127 and 15, two lanes. */
function eightQ4(levels: usize, weights: usize, blocks: i32, to: usize): void {
  const ones = v128.load(ONES), low = v128.load(LOW);
  let first = f32x4.splat(0), second = first;
  let place = levels + <usize>(blocks * BLOCK);
  const end = place;
  while (levels < end) {
    let even = v128.load32_splat(levels), odd = v128.load32_splat(levels, 16);
    let a = both(v128.load(weights), even, odd, low), b = both(v128.load(weights, 16), even, odd, low);
    even = v128.load32_splat(levels, 4); odd = v128.load32_splat(levels, 20);
    a = i16x8.add(a, both(v128.load(weights, 32), even, odd, low)); b = i16x8.add(b, both(v128.load(weights, 48), even, odd, low));
    even = v128.load32_splat(levels, 8); odd = v128.load32_splat(levels, 24);
    a = i16x8.add(a, both(v128.load(weights, 64), even, odd, low)); b = i16x8.add(b, both(v128.load(weights, 80), even, odd, low));
    even = v128.load32_splat(levels, 12); odd = v128.load32_splat(levels, 28);
    a = i16x8.add(a, both(v128.load(weights, 96), even, odd, low)); b = i16x8.add(b, both(v128.load(weights, 112), even, odd, low));
    const step = v128.load32_splat(place), zero = v128.load32_splat(place, 4);
    const scale = f32x4.mul(i32x4.shl(v128.load16x4_u(weights, 128), 13), step);
    first = f32x4.relaxed_madd(f32x4.convert_i32x4_s(i32x4.add(i32x4.dot_i16x8_s(a, ones), zero)), scale, first);
    const other = f32x4.mul(i32x4.shl(v128.load16x4_u(weights, 136), 13), step);
    second = f32x4.relaxed_madd(f32x4.convert_i32x4_s(i32x4.add(i32x4.dot_i16x8_s(b, ones), zero)), other, second);
    levels += BLOCK; place += 8; weights += Q4_BYTES;
  }
  const power = f32x4.splat(<f32>((<u64>1) << SUM_POWER));
  v128.store(to, f32x4.mul(first, power));
  v128.store(to, f32x4.mul(second, power), 16);
}

function eightQ8(levels: usize, weights: usize, blocks: i32, to: usize): void {
  const ones = v128.load(ONES), sixteens = v128.load(SIXTEENS), low = v128.load(LOW);
  let first = f32x4.splat(0), second = first;
  let place = levels + <usize>(blocks * BLOCK);
  const end = place;
  while (levels < end) {
    let a = i16x8.splat(0), b = a, c = a, d = a;
    for (let n: usize = 0; n < <usize>BLOCK; n += 4) {
      const own = v128.load32_splat(levels + n), v = v128.load(weights + 8 * n), u = v128.load(weights + 8 * n, 16);
      a = i16x8.add(a, lows(v, own, low)); b = i16x8.add(b, highs(v, own, low));
      c = i16x8.add(c, lows(u, own, low)); d = i16x8.add(d, highs(u, own, low));
    }
    const step = v128.load32_splat(place), zero = v128.load32_splat(place, 4);
    const one = i32x4.add(i32x4.add(i32x4.dot_i16x8_s(a, ones), i32x4.dot_i16x8_s(b, sixteens)), zero);
    const two = i32x4.add(i32x4.add(i32x4.dot_i16x8_s(c, ones), i32x4.dot_i16x8_s(d, sixteens)), zero);
    first = f32x4.relaxed_madd(f32x4.convert_i32x4_s(one), f32x4.mul(v128.load(weights, 256), step), first);
    second = f32x4.relaxed_madd(f32x4.convert_i32x4_s(two), f32x4.mul(v128.load(weights, 272), step), second);
    levels += BLOCK; place += 8; weights += Q8_BYTES;
  }
  v128.store(to, first);
  v128.store(to, second, 16);
}

function eightInt8(levels: usize, weights: usize, scales: usize, blocks: i32, to: usize): void {
  const ones = v128.load(ONES);
  let a = i32x4.splat(0), b = a;
  const place = levels + <usize>(blocks * BLOCK);
  while (levels < place) {
    for (let n: usize = 0; n < <usize>BLOCK; n += 4) {
      const own = v128.load32_splat(levels + n);
      a = i32x4.add(a, i32x4.dot_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(own, v128.load(weights + 8 * n)), ones));
      b = i32x4.add(b, i32x4.dot_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(own, v128.load(weights + 8 * n, 16)), ones));
    }
    levels += BLOCK; weights += INT8_BYTES;
  }
  // A row's sum, taken once: levels are stored 64 above what they are.
  const sum = v128.load32_splat(place, 4);
  const unit = f32x4.splat(load<f32>(place)), step: f32 = 1.0 / 127.0;
  const first = f32x4.mul(f32x4.convert_i32x4_s(i32x4.add(a, sum)), f32x4.mul(f32x4.splat(step), v128.load(scales)));
  const second = f32x4.mul(f32x4.convert_i32x4_s(i32x4.add(b, sum)), f32x4.mul(f32x4.splat(step), v128.load(scales, 16)));
  v128.store(to, f32x4.mul(first, unit));
  v128.store(to, f32x4.mul(second, unit), 16);
}
