// Sums, the largest, rounding and e^x of four float32 at a time.
import { CONSTANTS } from "./plan";

/** Places of the constants. */
export const ONES: usize = CONSTANTS;
export const LOW: usize = CONSTANTS + 16;
export const SIXTEENS: usize = CONSTANTS + 32;
const EXP: usize = CONSTANTS + 48;

/** Before the first pass. */
export function writeConstants(): void {
  v128.store(ONES, i16x8.splat(1));
  v128.store(LOW, i8x16.splat(15));
  v128.store(SIXTEENS, i16x8.splat(16));
  v128.store(EXP, f32x4.splat(-87));
  v128.store(EXP, f32x4.splat(88), 16);
  v128.store(EXP, f32x4.splat(1.44269504), 32);
  // ln 2 in two parts, the first of few bits.
  v128.store(EXP, f32x4.splat(0.693359375), 48);
  v128.store(EXP, f32x4.splat(-2.1219444e-4), 64);
  v128.store(EXP, f32x4.splat(1.98756915e-4), 80);
  v128.store(EXP, f32x4.splat(1.3981999507e-3), 96);
  v128.store(EXP, f32x4.splat(8.3334519073e-3), 112);
  v128.store(EXP, f32x4.splat(4.1665795894e-2), 128);
  v128.store(EXP, f32x4.splat(1.6666665459e-1), 144);
  v128.store(EXP, f32x4.splat(5.0000001201e-1), 160);
  v128.store(EXP, f32x4.splat(1), 176);
  v128.store(EXP, i32x4.splat(127), 192);
}

/** e^x: 2^n by the exponent's bits, the rest by Cephes' polynomial; 2e-7 off at most. */
@inline
export function exp4(x: v128): v128 {
  const y = f32x4.relaxed_min(f32x4.relaxed_max(x, v128.load(EXP)), v128.load(EXP, 16));
  const n = f32x4.nearest(f32x4.mul(y, v128.load(EXP, 32)));
  let r = f32x4.relaxed_nmadd(n, v128.load(EXP, 48), y);
  r = f32x4.relaxed_nmadd(n, v128.load(EXP, 64), r);
  let p = v128.load(EXP, 80);
  p = f32x4.relaxed_madd(p, r, v128.load(EXP, 96));
  p = f32x4.relaxed_madd(p, r, v128.load(EXP, 112));
  p = f32x4.relaxed_madd(p, r, v128.load(EXP, 128));
  p = f32x4.relaxed_madd(p, r, v128.load(EXP, 144));
  p = f32x4.relaxed_madd(p, r, v128.load(EXP, 160));
  p = f32x4.relaxed_madd(p, f32x4.mul(r, r), f32x4.add(r, v128.load(EXP, 176)));
  const power = i32x4.shl(i32x4.add(i32x4.relaxed_trunc_f32x4_s(n), v128.load(EXP, 192)), 23);
  return f32x4.mul(p, power);
}

@inline
export function total(a: v128): f32 {
  return f32x4.extract_lane(a, 0) + f32x4.extract_lane(a, 1) + (f32x4.extract_lane(a, 2) + f32x4.extract_lane(a, 3));
}

@inline
export function totalOfIntegers(a: v128): i32 {
  return i32x4.extract_lane(a, 0) + i32x4.extract_lane(a, 1) + i32x4.extract_lane(a, 2) + i32x4.extract_lane(a, 3);
}

/** The relaxed maximum is one instruction, the other eight; they differ where a number is none. */
@inline
export function most(a: v128): f32 {
  const pairs = f32x4.relaxed_max(a, v128.shuffle<f32>(a, a, 2, 3, 0, 1));
  return f32x4.extract_lane(f32x4.relaxed_max(pairs, v128.shuffle<f32>(pairs, pairs, 1, 0, 3, 2)), 0);
}

/** The largest magnitude. */
@inline
export function largest(from: usize, bytes: usize): f32 {
  let found = f32x4.splat(0);
  for (let n: usize = 0; n < bytes; n += 16) found = f32x4.relaxed_max(found, f32x4.abs(v128.load(from + n)));
  return most(found);
}

/** To the nearest integer. */
@inline
export function level(x: v128): v128 {
  return i32x4.relaxed_trunc_f32x4_s(f32x4.nearest(x));
}

/** Four of those vectors in bytes. */
@inline
export function bytesOf(a: v128, b: v128, c: v128, d: v128): v128 {
  return i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
}
