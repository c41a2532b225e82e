// Rows of float32 -> levels: int8 for the products, int16 for what attention keeps.
import { BLOCK, EPSILON, INT8, INT8_ZERO, PLAN, Q4, ROW_POWER } from "./plan";
import { bytesOf, largest, level, ONES, total, totalOfIntegers } from "./vectors.as";

/** Bytes of a quantised row: levels, then a scale and a correction for the weights' zero a block. */
@inline
export function rowBytes(width: i32): usize {
  return <usize>width + <usize>(width / BLOCK) * 8;
}

/** Root mean square norm, then levels. */
export function normedLevels(x: usize, gain: usize, width: i32, rows: i32, normed: usize, to: usize, kind: i32): void {
  const epsilon = load<f32>(PLAN + (EPSILON << 2));
  const bytes = <usize>width * 4;
  for (let t = 0; t < rows; t++) {
    const from = x + <usize>t * bytes;
    const row = normed + <usize>t * bytes;
    const squares = total(f32x4.add(squaresOf(from, bytes), squaresOf(from + 16, bytes)));
    const factor = f32x4.splat(1 / Mathf.sqrt(squares / <f32>width + epsilon));
    for (let n: usize = 0; n < bytes; n += 16)
      v128.store(row + n, f32x4.mul(f32x4.mul(v128.load(from + n), factor), v128.load(gain + n)));
  }
  levels(normed, width, rows, to, kind);
}

/** Sums of every other four numbers' squares, in four lanes; two sums at a time, since each waits for its last. */
@inline
function squaresOf(from: usize, bytes: usize): v128 {
  let a = f32x4.splat(0), b = a;
  for (let n: usize = 0; n < bytes; n += 64) {
    const v = v128.load(from + n), u = v128.load(from + n, 32);
    a = f32x4.relaxed_madd(v, v, a);
    b = f32x4.relaxed_madd(u, u, b);
  }
  return f32x4.add(a, b);
}

/** int8 around 0: a scale for each block of inputs, or one for the row as the graph in `int8` has it. */
export function levels(x: usize, width: i32, rows: i32, to: usize, kind: i32): void {
  for (let t = 0; t < rows; t++) {
    const from = x + <usize>t * <usize>width * 4;
    const row = to + <usize>t * rowBytes(width);
    if (kind == INT8) wholeRow(from, width, row);
    else blocks(from, width, row, kind);
  }
}

function blocks(x: usize, width: i32, row: usize, kind: i32): void {
  const zero = kind == Q4 ? 8 : 128;
  const unit: f32 = kind == Q4 ? <f32>(<u64>1 << (ROW_POWER - 1)) * 2 : 1;
  const end = row + <usize>width;
  let place = end;
  for (let to = row; to < end; to += BLOCK) {
    const size = largest(x, BLOCK * 4);
    const inverse = f32x4.splat(size == 0 ? 0 : 127 / size);
    const a = sixteen(x, inverse);
    const b = sixteen(x + 64, inverse);
    if (kind == Q4) {
      // Two weights a byte: the even ones are the low halves.
      v128.store(to, v128.shuffle<i8>(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30));
      v128.store(to, v128.shuffle<i8>(a, b, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31), 16);
    } else {
      v128.store(to, a);
      v128.store(to, b, 16);
    }
    store<f32>(place, size / 127 * unit);
    store<i32>(place, -zero * sumOf(a, b), 4);
    x += BLOCK * 4;
    place += 8;
  }
}

@inline
function sixteen(x: usize, inverse: v128): v128 {
  return bytesOf(
    level(f32x4.mul(v128.load(x), inverse)),
    level(f32x4.mul(v128.load(x, 16), inverse)),
    level(f32x4.mul(v128.load(x, 32), inverse)),
    level(f32x4.mul(v128.load(x, 48), inverse)),
  );
}

/** As the graph does it. */
function wholeRow(x: usize, width: i32, row: usize): void {
  const size = max<f32>(largest(x, <usize>width * 4), 1e-12);
  const end = row + <usize>width;
  const inverse = f32x4.splat(127 / size);
  let sum = 0;
  for (let to = row; to < end; to += 16) {
    const a = sixteen(x, inverse);
    v128.store(to, a);
    sum += sumOf(a, i8x16.splat(0));
    x += 64;
  }
  store<f32>(end, size);
  store<i32>(end, -INT8_ZERO * sum, 4);
}

@inline
function sumOf(a: v128, b: v128): i32 {
  const pairs = i16x8.add(i16x8.extadd_pairwise_i8x16_s(a), i16x8.extadd_pairwise_i8x16_s(b));
  return totalOfIntegers(i32x4.dot_i16x8_s(pairs, v128.load(ONES)));
}

/** int16 up to `top`; answers their scale. `to` may be `from`. */
export function shorten(from: usize, to: usize, count: i32, top: f32): f32 {
  const size = largest(from, <usize>count * 4);
  const inverse = f32x4.splat(size == 0 ? 0 : top / size);
  for (let n: usize = 0; n < <usize>count * 2; n += 16) {
    const a = level(f32x4.mul(v128.load(from + 2 * n), inverse));
    const b = level(f32x4.mul(v128.load(from + 2 * n, 16), inverse));
    v128.store(to + n, i16x8.narrow_i32x4_s(a, b));
  }
  return size / top;
}
