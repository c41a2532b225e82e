import { expect, test } from "vitest";
import { SliceSize } from "../../engine/infer/sliceSize.ts";

test("slices grow while they are fast, at most to twice the last, and shrink when they are slow", () => {
  const size = new SliceSize();
  expect(size.positions).toBe(64);
  size.took(64, 1);
  expect(size.positions).toBe(128);
  for (let n = 0; n < 4; n += 1) size.took(size.positions, 1);
  expect(size.positions).toBe(256);
  size.took(256, 40);
  expect(size.positions).toBe(128);
});

test("slices are never so short that they waste the kernels", () => {
  const size = new SliceSize();
  size.took(64, 10_000);
  expect(size.positions).toBe(64);
});

test("a larger reader reads twice the least while that ends a cancelled request soon", () => {
  const size = new SliceSize();
  size.took(64, 22);
  expect(size.positions).toBe(128);
  size.took(128, 44);
  expect(size.positions).toBe(128);
  size.took(128, 60);
  expect(size.positions).toBe(64);
});

test("the last few positions of a prompt say nothing", () => {
  const size = new SliceSize();
  size.took(3, 100);
  expect(size.positions).toBe(64);
});
