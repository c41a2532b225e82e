import { describe, expect, it } from "vitest";
import { choose } from "../../engine/infer/choice.ts";
import { type Copying, copiedAfter } from "../../engine/infer/copying.ts";

const WEIGHTS = [0.1, 0.3, 0.5];

function copying(before: number[], ...others: number[][]): Copying {
  return { before: Int32Array.from(before), others: others.map((ids) => Int32Array.from(ids)), weights: WEIGHTS };
}

describe("copiedAfter", () => {
  it("goes on behind the longest agreement, and weighs it by its length", () => {
    expect(copiedAfter(copying([9, 2, 3, 7, 1, 2, 3]), [])).toEqual({ token: 7, weight: 0.3 });
    expect(copiedAfter(copying([9, 2, 3], [3, 8], [9, 2, 3, 4]), [])).toEqual({ token: 4, weight: 0.5 });
  });

  it("takes what was written for the end of the text before the cursor", () => {
    expect(copiedAfter(copying([1, 2], [2, 5, 6], [1, 2, 5, 7]), [5])).toEqual({ token: 7, weight: 0.5 });
  });

  it("takes the nearest of equals, and the first text's", () => {
    expect(copiedAfter(copying([3, 8, 3, 7, 3]), [])?.token).toBe(7);
    expect(copiedAfter(copying([3], [3, 8, 3, 7], [3, 6]), [])?.token).toBe(7);
  });

  it("believes the longest agreements as much as its last weight says", () => {
    const text = [1, 2, 3, 4, 5, 6];
    expect(copiedAfter(copying(text, [...text, 9]), [])).toEqual({ token: 9, weight: 0.5 });
  });

  it("copies nothing where nothing agrees, nothing follows, or nothing is weighed", () => {
    expect(copiedAfter(copying([1, 2, 3], [4, 5]), [])).toBeUndefined();
    expect(copiedAfter(copying([1], [2, 1]), [])).toBeUndefined();
    expect(copiedAfter(copying([]), [])).toBeUndefined();
    expect(copiedAfter({ ...copying([3], [3, 4]), weights: [] }, [])).toBeUndefined();
  });
});

describe("choose with a copied token", () => {
  const LOGITS = Float32Array.from([0.7, 0.2, 0.1].map(Math.log));
  const mixed = (token: number, weight: number) => choose(LOGITS, 0, 3, { token, weight });

  it("is the likeliest of the mixture, with its probability and its lead", () => {
    for (const [token, weight] of [
      [0, 0.4],
      [1, 0.2],
      [1, 0.5],
      [2, 0.35],
      [2, 0.05],
      [1, 0],
    ] as const) {
      const p = [0.7, 0.2, 0.1].map((share, id) => (1 - weight) * share + (id === token ? weight : 0));
      const [first = 0, second = 0] = [0, 1, 2].sort((a, b) => (p[b] ?? 0) - (p[a] ?? 0));
      const found = mixed(token, weight);
      expect(found).toMatchObject({ token: first, runnerUp: second });
      expect(found.logProb).toBeCloseTo(Math.log(p[first] ?? 0), 5);
      expect(found.margin).toBeCloseTo(Math.log((p[first] ?? 0) / (p[second] ?? 0)), 5);
    }
  });
});
