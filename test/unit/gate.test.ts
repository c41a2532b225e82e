import { describe, expect, test } from "vitest";
import {
  type GateModel,
  type GateShift,
  learn,
  NO_SHIFT,
  parseGate,
  probabilityOf,
} from "../../engine/completion/gate.ts";

const MODEL: GateModel = {
  schemaVersion: 1,
  reader: "0123456789abcdef",
  bias: -1,
  features: { meanLogProb: { mean: -1, scale: 0.5, weight: 1 }, unresolved: { mean: 0.2, scale: 0.4, weight: -1 } },
  thresholds: { balanced: 0.2, strict: 0.5 },
  fitted: "by hand",
};

const SURE = { meanLogProb: -0.1, unresolved: 0 };
const UNSURE = { meanLogProb: -2, unresolved: 1 };

describe("a gate", () => {
  test("is a logistic model of standardised features", () => {
    const score = -1 + 1 * ((-0.1 + 1) / 0.5) - 1 * ((0 - 0.2) / 0.4);
    expect(probabilityOf(MODEL, NO_SHIFT, SURE)).toBeCloseTo(1 / (1 + Math.exp(-score)), 12);
    expect(probabilityOf(MODEL, NO_SHIFT, UNSURE)).toBeLessThan(0.05);
  });

  test("leaves out features it does not know and values that are no numbers", () => {
    expect(probabilityOf(MODEL, NO_SHIFT, { ...SURE, novelty: 1000 })).toBe(probabilityOf(MODEL, NO_SHIFT, SURE));
    const withoutOne = probabilityOf(MODEL, NO_SHIFT, { unresolved: 0 });
    expect(probabilityOf(MODEL, NO_SHIFT, { meanLogProb: Number.NaN, unresolved: 0 })).toBe(withoutOne);
  });
});

describe("learning", () => {
  function shiftAfter(answers: readonly (0 | 1)[], features = SURE): GateShift {
    return answers.reduce<GateShift>((shift, answer) => learn(MODEL, shift, features, answer), NO_SHIFT);
  }

  test("moves towards the answers", () => {
    const before = probabilityOf(MODEL, NO_SHIFT, SURE);
    expect(probabilityOf(MODEL, shiftAfter([1, 1, 1]), SURE)).toBeGreaterThan(before);
    expect(probabilityOf(MODEL, shiftAfter([0, 0, 0]), SURE)).toBeLessThan(before);
  });

  test("one answer moves no weight by more than 0.09", () => {
    const { bias, weights } = learn(MODEL, NO_SHIFT, { meanLogProb: 1e9, unresolved: -1e9 }, 0);
    for (const change of [bias, ...Object.values(weights)]) expect(Math.abs(change)).toBeLessThanOrEqual(0.09 + 1e-12);
  });

  test("a thousand refusals leave every weight within one of the shipped one", () => {
    const { bias, weights, answers } = shiftAfter(new Array<0>(1000).fill(0), UNSURE);
    expect(answers).toBe(1000);
    for (const change of [bias, ...Object.values(weights)]) expect(Math.abs(change)).toBeLessThanOrEqual(1);
  });

  test("what is not confirmed fades", () => {
    const shift: GateShift = { bias: 0, weights: { meanLogProb: 1 }, answers: 0 };
    // At the mean, an answer says nothing of this feature.
    let faded = shift;
    for (let n = 0; n < 200; n += 1)
      faded = learn(MODEL, faded, { meanLogProb: -1, unresolved: 0.2 }, n % 4 === 0 ? 1 : 0);
    expect(faded.weights["meanLogProb"]).toBeGreaterThan(0.3);
    expect(faded.weights["meanLogProb"]).toBeLessThan(0.4);
  });
});

describe("a gate's file", () => {
  test("is read back", () => {
    expect(parseGate(JSON.stringify(MODEL))).toEqual(MODEL);
  });

  test.each([
    ["no JSON", "{"],
    ["a scale of 0", JSON.stringify({ ...MODEL, features: { x: { mean: 0, scale: 0, weight: 1 } } })],
    ["a threshold above 1", JSON.stringify({ ...MODEL, thresholds: { balanced: 2, strict: 0.5 } })],
    ["another version", JSON.stringify({ ...MODEL, schemaVersion: 2 })],
  ])("%s is a fault", (_, text) => {
    expect(parseGate(text)).toHaveProperty("fault");
  });
});
