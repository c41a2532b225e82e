import { expect, test } from "vitest";
import { SliceSize } from "../../engine/infer/sliceSize.ts";

const SMALL = { layers: 6, readerDim: 256 };
const LARGE = { layers: 12, readerDim: 512 };

test("slices grow while they are fast, at most to twice the last, and shrink when they are slow", () => {
  const size = new SliceSize(SMALL);
  expect(size.positions).toBe(64);
  size.took(64, 1);
  expect(size.positions).toBe(128);
  for (let n = 0; n < 4; n += 1) size.took(size.positions, 1);
  expect(size.positions).toBe(256);
  size.took(256, 40);
  expect(size.positions).toBe(128);
});

test("slices are never so short that they waste the kernels", () => {
  for (const shape of [SMALL, LARGE]) {
    const size = new SliceSize(shape);
    size.took(64, 10_000);
    expect(size.positions).toBe(64);
  }
});

test("a large reader may read longer", () => {
  const size = new SliceSize(LARGE);
  size.took(64, 15);
  size.took(128, 30);
  expect(size.positions).toBe(256);
  size.took(256, 60);
  expect(size.positions).toBe(256);
  size.took(256, 80);
  expect(size.positions).toBe(192);
});

test("the last few positions of a prompt say nothing", () => {
  const size = new SliceSize(SMALL);
  size.took(3, 100);
  expect(size.positions).toBe(64);
});
