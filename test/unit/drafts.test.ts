import { describe, expect, it } from "vitest";
import { DraftGain, draftFor } from "../../engine/infer/drafts.ts";

describe("draftFor", () => {
  it("goes on as the longest earlier agreement did", () => {
    expect(draftFor([1, 2, 3, 9, 9, 2, 3], [])).toEqual([9, 9, 2]);
    expect(draftFor([5, 1, 2, 3], [Int32Array.of(2, 3, 7, 1, 2, 3, 8)])).toEqual([8]);
  });

  it("takes the nearest of two agreements of one length", () => {
    expect(draftFor([1, 2, 7, 1, 2, 8, 1, 2], []).slice(0, 1)).toEqual([8]);
  });

  it("says nothing where less than two tokens agree", () => {
    expect(draftFor([1, 2, 3, 4], [Int32Array.of(9, 4, 5)])).toEqual([]);
    expect(draftFor([], [])).toEqual([]);
  });
});

describe("DraftGain", () => {
  it("stops drafting where drafts cost more than they give, and tries again now and then", () => {
    const gain = new DraftGain();
    expect(gain.pays).toBe(true);
    for (let n = 0; n < 40; n += 1) {
      gain.took(false, 1, 10);
      gain.took(true, 1, 30);
    }
    const answers = Array.from({ length: 32 }, () => gain.pays);
    expect(answers.filter((pays) => pays)).toHaveLength(2);
    for (let n = 0; n < 40; n += 1) gain.took(true, 4, 30);
    expect(gain.pays).toBe(true);
  });
});
