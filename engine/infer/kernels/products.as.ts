// Products of quantised rows and matrices, four outputs at a time: bytes times bytes, summed in integers.
import { BLOCK, GROUP, INT8_BYTES, Q4, Q4_BYTES, Q8, Q8_BYTES } from "./plan";
import { rowBytes } from "./levels.as";
import { LOW, ONES, SIXTEENS, totals, totalsOfIntegers } from "./vectors.as";

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

@inline
function stepQ4(v: v128, even: v128, odd: v128, ones: v128, low: v128): v128 {
  const pairs = i16x8.add(i16x8.relaxed_dot_i8x16_i7x16_s(even, v128.and(v, low)), i16x8.relaxed_dot_i8x16_i7x16_s(odd, v128.and(i16x8.shr_u(v, 4), low)));
  return f32x4.convert_i32x4_s(i32x4.dot_i16x8_s(pairs, ones));
}

function fourQ4(levels: usize, weights: usize, blocks: i32): v128 {
  const ones = v128.load(ONES), low = v128.load(LOW);
  let a = f32x4.splat(0), b = a, c = a, d = a, rest = a;
  let place = levels + <usize>(blocks * BLOCK);
  const end = place;
  while (levels < end) {
    const even = v128.load(levels), odd = v128.load(levels, 16);
    const scales = f32x4.mul(v128.load(weights, 64), v128.load32_splat(place));
    rest = f32x4.relaxed_madd(scales, v128.load32_splat(place, 4), rest);
    a = f32x4.relaxed_madd(stepQ4(v128.load(weights), even, odd, ones, low), v128.shuffle<f32>(scales, scales, 0, 0, 0, 0), a);
    b = f32x4.relaxed_madd(stepQ4(v128.load(weights, 16), even, odd, ones, low), v128.shuffle<f32>(scales, scales, 1, 1, 1, 1), b);
    c = f32x4.relaxed_madd(stepQ4(v128.load(weights, 32), even, odd, ones, low), v128.shuffle<f32>(scales, scales, 2, 2, 2, 2), c);
    d = f32x4.relaxed_madd(stepQ4(v128.load(weights, 48), even, odd, ones, low), v128.shuffle<f32>(scales, scales, 3, 3, 3, 3), d);
    levels += BLOCK; place += 8; weights += Q4_BYTES;
  }
  return f32x4.add(totals(a, b, c, d), rest);
}

@inline
function stepQ8(v: v128, u: v128, a: v128, b: v128, ones: v128, sixteens: v128, low: v128): v128 {
  const lows = i16x8.add(i16x8.relaxed_dot_i8x16_i7x16_s(a, v128.and(v, low)), i16x8.relaxed_dot_i8x16_i7x16_s(b, v128.and(u, low)));
  const highs = i16x8.add(i16x8.relaxed_dot_i8x16_i7x16_s(a, v128.and(i16x8.shr_u(v, 4), low)), i16x8.relaxed_dot_i8x16_i7x16_s(b, v128.and(i16x8.shr_u(u, 4), low)));
  return f32x4.convert_i32x4_s(i32x4.add(i32x4.dot_i16x8_s(lows, ones), i32x4.dot_i16x8_s(highs, sixteens)));
}

function fourQ8(levels: usize, weights: usize, blocks: i32): v128 {
  const ones = v128.load(ONES), sixteens = v128.load(SIXTEENS), low = v128.load(LOW);
  let a = f32x4.splat(0), b = a, c = a, d = a, rest = a;
  let place = levels + <usize>(blocks * BLOCK);
  const end = place;
  while (levels < end) {
    const e = v128.load(levels), f = v128.load(levels, 16);
    const scales = f32x4.mul(v128.load(weights, 128), v128.load32_splat(place));
    rest = f32x4.relaxed_madd(scales, v128.load32_splat(place, 4), rest);
    a = f32x4.relaxed_madd(stepQ8(v128.load(weights), v128.load(weights, 16), e, f, ones, sixteens, low), v128.shuffle<f32>(scales, scales, 0, 0, 0, 0), a);
    b = f32x4.relaxed_madd(stepQ8(v128.load(weights, 32), v128.load(weights, 48), e, f, ones, sixteens, low), v128.shuffle<f32>(scales, scales, 1, 1, 1, 1), b);
    c = f32x4.relaxed_madd(stepQ8(v128.load(weights, 64), v128.load(weights, 80), e, f, ones, sixteens, low), v128.shuffle<f32>(scales, scales, 2, 2, 2, 2), c);
    d = f32x4.relaxed_madd(stepQ8(v128.load(weights, 96), v128.load(weights, 112), e, f, ones, sixteens, low), v128.shuffle<f32>(scales, scales, 3, 3, 3, 3), d);
    levels += BLOCK; place += 8; weights += Q8_BYTES;
  }
  return f32x4.add(totals(a, b, c, d), rest);
}

@inline
function stepInt8(v: v128, u: v128, a: v128, b: v128, ones: v128, sum: v128): v128 {
  return i32x4.add(i32x4.add(sum, i32x4.dot_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(a, v), ones)), i32x4.dot_i16x8_s(i16x8.relaxed_dot_i8x16_i7x16_s(b, u), ones));
}

function fourInt8(levels: usize, weights: usize, scales: usize, blocks: i32): v128 {
  const ones = v128.load(ONES);
  let a = i32x4.splat(0), b = a, c = a, d = a;
  const place = levels + <usize>(blocks * BLOCK);
  while (levels < place) {
    const e = v128.load(levels), f = v128.load(levels, 16);
    a = stepInt8(v128.load(weights), v128.load(weights, 16), e, f, ones, a);
    b = stepInt8(v128.load(weights, 32), v128.load(weights, 48), e, f, ones, b);
    c = stepInt8(v128.load(weights, 64), v128.load(weights, 80), e, f, ones, c);
    d = stepInt8(v128.load(weights, 96), v128.load(weights, 112), e, f, ones, d);
    levels += BLOCK; weights += INT8_BYTES;
  }
  // A row's sum, taken once: levels are stored 64 above what they are.
  const sum = i32x4.add(totalsOfIntegers(a, b, c, d), i32x4.splat(load<i32>(place, 4)));
  const step: f32 = 1.0 / 127.0;
  return f32x4.mul(f32x4.mul(f32x4.convert_i32x4_s(sum), f32x4.mul(f32x4.splat(step), v128.load(scales))), f32x4.splat(load<f32>(place)));
}
