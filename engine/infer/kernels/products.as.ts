// Products of quantised rows and matrices, four outputs at a time: bytes times bytes, summed in integers.
import { BLOCK, GROUP, INT8_BYTES, Q4, Q4_BYTES, Q8, Q8_BYTES, SUM_POWER } from "./plan";
import { rowBytes } from "./levels.as";
import { LOW, ONES, SIXTEENS } from "./vectors.as";

/** `out[t, from..until] = input[t] @ matrix.T + bias`. Weights lie in groups of four outputs, block by block. */
export function multiply(quantised: usize, rows: i32, inputs: i32, matrix: usize, from: i32, until: i32, out: usize, width: i32, kind: i32): void {
  const weights = <usize>load<u32>(matrix), scales = <usize>load<u32>(matrix, 4), bias = <usize>load<u32>(matrix, 8);
  const blocks = inputs / BLOCK;
  const bytesOfRow = rowBytes(inputs);
  const group = <usize>blocks * (kind == Q4 ? Q4_BYTES : kind == Q8 ? Q8_BYTES : INT8_BYTES);
  for (let n = from; n < until; n += GROUP) {
    const own = weights + <usize>(n / GROUP) * group;
    for (let t = 0; t < rows; t++) {
      const levels = quantised + <usize>t * bytesOfRow;
      let result: v128;
      if (kind == Q4) result = fourQ4(levels, own, blocks);
      else if (kind == Q8) result = fourQ8(levels, own, blocks);
      else result = fourInt8(levels, own, scales + <usize>n * 4, blocks);
      if (bias != 0) result = f32x4.add(result, v128.load(bias + <usize>n * 4));
      v128.store(out + <usize>(t * width + n) * 4, result);
    }
  }
}

/** Sums of four inputs' products with each of four outputs, whose weights lie beside one another. */
@inline
function dotQ4(v: v128, even: usize, low: v128): v128 {
  const lows = i16x8.relaxed_dot_i8x16_i7x16_s(v128.load32_splat(even), v128.and(v, low));
  return i16x8.add(lows, i16x8.relaxed_dot_i8x16_i7x16_s(v128.load32_splat(even, 16), v128.and(i16x8.shr_u(v, 4), low)));
}

/** A block's sums fit 16 bits: 32 products of at most 127 and 15, two lanes. */
function fourQ4(levels: usize, weights: usize, blocks: i32): v128 {
  const ones = v128.load(ONES), low = v128.load(LOW);
  let result = f32x4.splat(0);
  let place = levels + <usize>(blocks * BLOCK);
  const end = place;
  while (levels < end) {
    const a = i16x8.add(dotQ4(v128.load(weights), levels, low), dotQ4(v128.load(weights, 16), levels + 4, low));
    const b = i16x8.add(dotQ4(v128.load(weights, 32), levels + 8, low), dotQ4(v128.load(weights, 48), levels + 12, low));
    const sum = i32x4.add(i32x4.dot_i16x8_s(i16x8.add(a, b), ones), v128.load32_splat(place, 4));
    const scale = f32x4.mul(i32x4.shl(v128.load16x4_u(weights, 64), 13), v128.load32_splat(place));
    result = f32x4.relaxed_madd(f32x4.convert_i32x4_s(sum), scale, result);
    levels += BLOCK; place += 8; weights += Q4_BYTES;
  }
  return f32x4.mul(result, f32x4.splat(<f32>((<u64>1) << SUM_POWER)));
}

@inline
function lowQ8(v: v128, levels: usize, low: v128): v128 { return i16x8.relaxed_dot_i8x16_i7x16_s(v128.load32_splat(levels), v128.and(v, low)); }

@inline
function highQ8(v: v128, levels: usize, low: v128): v128 { return lowQ8(i16x8.shr_u(v, 4), levels, low); }

function fourQ8(levels: usize, weights: usize, blocks: i32): v128 {
  const ones = v128.load(ONES), sixteens = v128.load(SIXTEENS), low = v128.load(LOW);
  let result = f32x4.splat(0);
  let place = levels + <usize>(blocks * BLOCK);
  const end = place;
  while (levels < end) {
    let lows = i16x8.splat(0), highs = lows;
    for (let n: usize = 0; n < <usize>BLOCK; n += 8) {
      const v = v128.load(weights + 4 * n), u = v128.load(weights + 4 * n, 16);
      lows = i16x8.add(lows, i16x8.add(lowQ8(v, levels + n, low), lowQ8(u, levels + n + 4, low)));
      highs = i16x8.add(highs, i16x8.add(highQ8(v, levels + n, low), highQ8(u, levels + n + 4, low)));
    }
    const sum = i32x4.add(i32x4.add(i32x4.dot_i16x8_s(lows, ones), i32x4.dot_i16x8_s(highs, sixteens)), v128.load32_splat(place, 4));
    result = f32x4.relaxed_madd(f32x4.convert_i32x4_s(sum), f32x4.mul(v128.load(weights, 128), v128.load32_splat(place)), result);
    levels += BLOCK; place += 8; weights += Q8_BYTES;
  }
  return result;
}

@inline
function stepInt8(v: v128, levels: usize, ones: v128, sum: v128): v128 {
  return i32x4.add(sum, i32x4.dot_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(v128.load32_splat(levels), v), ones));
}

function fourInt8(levels: usize, weights: usize, scales: usize, blocks: i32): v128 {
  const ones = v128.load(ONES);
  let a = i32x4.splat(0), b = a;
  const place = levels + <usize>(blocks * BLOCK);
  while (levels < place) {
    a = stepInt8(v128.load(weights), levels, ones, a);
    b = stepInt8(v128.load(weights, 16), levels + 4, ones, b);
    a = stepInt8(v128.load(weights, 32), levels + 8, ones, a);
    b = stepInt8(v128.load(weights, 48), levels + 12, ones, b);
    a = stepInt8(v128.load(weights, 64), levels + 16, ones, a);
    b = stepInt8(v128.load(weights, 80), levels + 20, ones, b);
    a = stepInt8(v128.load(weights, 96), levels + 24, ones, a);
    b = stepInt8(v128.load(weights, 112), levels + 28, ones, b);
    levels += BLOCK; weights += INT8_BYTES;
  }
  // A row's sum, taken once: levels are stored 64 above what they are.
  const sum = i32x4.add(i32x4.add(a, b), v128.load32_splat(place, 4));
  const step: f32 = 1.0 / 127.0;
  return f32x4.mul(f32x4.mul(f32x4.convert_i32x4_s(sum), f32x4.mul(f32x4.splat(step), v128.load(scales))), f32x4.splat(load<f32>(place)));
}
