import { expect, test } from "vitest";
import { SliceSize } from "../../engine/infer/sliceSize.ts";

const SMALL = { layers: 6, readerDim: 256 };
const LARGE = { layers: 12, readerDim: 512 };
const MANY = 4096;

/** Lengths of all runs over `count` positions. */
function runs(size: SliceSize, count: number): number[] {
  const lengths: number[] = [];
  for (let from = 0; from < count; from += lengths.at(-1) ?? 0) lengths.push(size.of(count - from));
  return lengths;
}

test("slices grow while they are fast, at most to twice the last, and shrink when they are slow", () => {
  const size = new SliceSize(SMALL);
  expect(size.of(MANY)).toBe(64);
  size.took(64, 1);
  expect(size.of(MANY)).toBe(128);
  for (let n = 0; n < 4; n += 1) size.took(size.of(MANY), 1);
  expect(size.of(MANY)).toBe(256);
  size.took(256, 28);
  expect(size.of(MANY)).toBe(128);
});

test("slices are never so short that they waste the kernels", () => {
  for (const shape of [SMALL, LARGE]) {
    const size = new SliceSize(shape);
    size.took(64, 10_000);
    expect(size.of(MANY)).toBe(64);
  }
});

test("a large reader may read longer", () => {
  const size = new SliceSize(LARGE);
  size.took(64, 20);
  size.took(128, 45);
  expect(size.of(MANY)).toBe(256);
  size.took(256, 90);
  expect(size.of(MANY)).toBe(256);
  size.took(256, 120);
  expect(size.of(MANY)).toBe(192);
});

test("the last few positions of a prompt say nothing", () => {
  const size = new SliceSize(SMALL);
  size.took(3, 100);
  expect(size.of(MANY)).toBe(64);
});

test("a prompt is read in few runs of one length, and never a row alone", () => {
  const size = new SliceSize(LARGE);
  size.took(64, 1);
  size.took(128, 1);
  expect(runs(size, 256)).toEqual([256]);
  expect(runs(size, 257)).toEqual([257]);
  expect(runs(size, 300)).toEqual([160, 140]);
  expect(runs(size, 513)).toEqual([256, 257]);
  for (let count = 2; count < 1100; count += 1) {
    const all = runs(size, count);
    expect(all.reduce((sum, length) => sum + length, 0)).toBe(count);
    expect(all.length).toBe(Math.max(1, Math.ceil((count - 1) / 256)));
    expect(Math.min(...all)).toBeGreaterThan(1);
  }
});
