import { describe, expect, it } from "vitest";
import { choose } from "../../engine/infer/choice.ts";

describe("choose", () => {
  it("takes the likeliest token of its row, with its log-probability and its lead", () => {
    const logits = Float32Array.of(9, 9, 9, 1, 3, 2);
    const choice = choose(logits, 1, 3);
    expect(choice.token).toBe(1);
    expect(choice.margin).toBeCloseTo(1, 6);
    expect(choice.runnerUp).toBe(2);
    const total = Math.exp(1) + Math.exp(3) + Math.exp(2);
    expect(choice.logProb).toBeCloseTo(Math.log(Math.exp(3) / total), 6);
  });

  it("lets the smallest id win a tie", () => {
    expect(choose(Float32Array.of(0, 5, 5), 0, 3)).toMatchObject({ token: 1, runnerUp: 2, margin: 0 });
  });

  it("does not overflow on large logits", () => {
    expect(choose(Float32Array.of(1000, 0), 0, 2).logProb).toBeCloseTo(0, 6);
    expect(choose(Float32Array.of(7), 0, 1)).toEqual({
      token: 0,
      logProb: -0,
      runnerUp: 0,
      margin: Number.POSITIVE_INFINITY,
    });
  });
});
