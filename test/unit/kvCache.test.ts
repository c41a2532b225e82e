import { describe, expect, it } from "vitest";
import { KvCache } from "../../engine/infer/kvCache.ts";
import { KvCaches } from "../../engine/infer/kvCaches.ts";
import type { Tensor } from "../../engine/infer/session.ts";

const SHAPE = { layers: 2, kvHeads: 2, headDim: 3, readerDim: 4 };
const NOTHING = new Float32Array(0);

function input(tokens: number[], pseudoTokens: Float32Array = NOTHING) {
  return { tokens: Int32Array.from(tokens), pseudoTokens };
}

/** Rows whose every number says layer, part, head and token, so that a misplaced row shows. */
function rowsOf(tokens: readonly number[]): Record<string, Tensor> {
  const present: Record<string, Tensor> = {};
  for (let layer = 0; layer < SHAPE.layers; layer += 1) {
    for (const [part, sign] of [
      ["key", 1],
      ["value", -1],
    ] as const) {
      const data = new Float32Array(SHAPE.kvHeads * tokens.length * SHAPE.headDim);
      for (let head = 0; head < SHAPE.kvHeads; head += 1) {
        tokens.forEach((token, n) => {
          data.fill(
            sign * (layer * 10_000 + head * 1000 + token),
            (head * tokens.length + n) * SHAPE.headDim,
            (head * tokens.length + n + 1) * SHAPE.headDim,
          );
        });
      }
      present[`present.${layer}.${part}`] = { data, dims: [1, SHAPE.kvHeads, tokens.length, SHAPE.headDim] };
    }
  }
  return present;
}

/** First number of every kept row of one layer and head. */
function kept(cache: KvCache, layer: number, head: number): number[] {
  const tensor = cache.past()[`past_key_values.${layer}.key`];
  if (tensor === undefined) throw new Error("no such layer");
  const capacity = tensor.dims[2] ?? 0;
  return Array.from({ length: cache.length }, (_, n) => Number(tensor.data[(head * capacity + n) * SHAPE.headDim]));
}

function read(cache: KvCache, tokens: readonly number[]) {
  cache.append(rowsOf(tokens), tokens.length, tokens);
}

describe("KvCache", () => {
  it("keeps every row at its place while it grows", () => {
    const cache = new KvCache(SHAPE);
    const tokens = Array.from({ length: 600 }, (_, n) => n + 1);
    cache.rewindTo(input(tokens));
    for (let from = 0; from < tokens.length; from += 128) read(cache, tokens.slice(from, from + 128));
    expect(kept(cache, 0, 0)).toEqual(tokens);
    expect(kept(cache, 1, 1)).toEqual(tokens.map((token) => 11_000 + token));
  });

  it("hands a run what was read and little more, however much there once was", () => {
    const cache = new KvCache(SHAPE);
    const long = Array.from({ length: 500 }, (_, n) => n + 1);
    cache.rewindTo(input(long));
    read(cache, long);
    const short = [...long.slice(0, 70), 900, 901, 902];
    expect(cache.rewindTo(input(short))).toBe(70);
    expect(cache.past()["past_key_values.0.key"]?.dims).toEqual([1, 2, 128, 3]);
    expect(kept(cache, 1, 1)).toEqual(long.slice(0, 70).map((token) => 11_000 + token));
    read(cache, [900, 901, 902]);
    expect(kept(cache, 0, 1)).toEqual(short.map((token) => 1000 + token));
    cache.rewindTo(input([7]));
    expect(cache.past()["past_key_values.0.key"]?.dims).toEqual([1, 2, 0, 3]);
  });

  it("keeps the common prefix but always reads the last two positions again", () => {
    const cache = new KvCache(SHAPE);
    cache.rewindTo(input([1, 2, 3, 4]));
    read(cache, [1, 2, 3, 4]);
    expect(cache.rewindTo(input([1, 2, 8, 9]))).toBe(2);
    read(cache, [8, 9]);
    expect(kept(cache, 0, 0)).toEqual([1, 2, 8, 9]);
    expect(cache.sharedWith(input([1, 2, 8, 9]))).toBe(2);
    expect(cache.rewindTo(input([1, 2, 8, 9]))).toBe(2);
    expect(cache.rewindTo(input([7]))).toBe(0);
  });

  it("tells pseudo-tokens apart", () => {
    const cache = new KvCache(SHAPE);
    const a = Float32Array.from({ length: 8 }, (_, n) => n);
    const b = Float32Array.from(a);
    b[7] = 99;
    cache.rewindTo(input([1, 2], a));
    cache.append(rowsOf([50, 51, 1, 2]), 4, [1, 2]);
    expect(cache.sharedWith(input([1, 2, 3, 4], a))).toBe(4);
    expect(cache.rewindTo(input([1, 2, 3, 4], b))).toBe(1);
    cache.append(rowsOf([51, 1, 2, 3]), 4, [1, 2, 3]);
    expect(cache.rewindTo(input([1, 2, 3]))).toBe(0);
  });

  it("forgets tokens that were read in vain", () => {
    const cache = new KvCache(SHAPE);
    cache.rewindTo(input([1, 2, 3]));
    read(cache, [1, 2, 3]);
    cache.truncate(1);
    read(cache, [7]);
    expect(kept(cache, 0, 0)).toEqual([1, 7]);
    expect(cache.sharedWith(input([1, 7, 8, 9]))).toBe(2);
  });
});

describe("KvCaches", () => {
  const cachesOf = (maxTokens: number) => new KvCaches({ ...SHAPE, maxTokens }, () => new KvCache(SHAPE));
  const ask = (all: KvCaches, tokens: number[]) => {
    const cache = all.take(input(tokens));
    const reused = cache.rewindTo(input(tokens));
    if (cache instanceof KvCache) read(cache, tokens.slice(reused));
    return reused;
  };

  it("keep three inputs side by side and give up the one used longest ago", () => {
    const all = cachesOf(8);
    const [a, b, c, d] = [1, 2, 3, 4].map((n) => [n, 10, 11, 12, 13, 14]) as [number[], number[], number[], number[]];
    for (const tokens of [a, b, c]) expect(ask(all, tokens)).toBe(0);
    for (const tokens of [a, c]) expect(ask(all, tokens)).toBe(4);
    expect(ask(all, d)).toBe(0);
    expect(ask(all, a)).toBe(4);
    expect(ask(all, b)).toBe(0);
  });

  it("go on in one cache while more is kept than lost", () => {
    const all = cachesOf(8);
    ask(all, [1, 2, 3, 4, 5, 6]);
    expect(ask(all, [1, 2, 3, 4, 9, 9, 9])).toBe(4);
    expect(ask(all, [1, 2, 8, 8, 8, 8, 8])).toBe(0);
    expect(ask(all, [1, 2, 3, 4, 9, 9, 9])).toBe(5);
  });

  it("are one where several would take too much memory", () => {
    const all = cachesOf(1e7);
    ask(all, [1, 10, 11, 12]);
    ask(all, [2, 10, 11, 12]);
    expect(ask(all, [1, 10, 11, 12])).toBe(0);
  });

  it("knows nothing of what a cancelled prefill never read", () => {
    const cache = new KvCache(SHAPE);
    cache.rewindTo(input([1, 2, 3, 4, 5]));
    read(cache, [1, 2]);
    expect(cache.rewindTo(input([1, 2, 3, 4, 5]))).toBe(2);
  });
});
