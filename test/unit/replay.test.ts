// The parts of `precis bench replay` and `precis bench gate` that must hold whatever is measured.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { crossJudge, fitGate, judge, KEPT, reliability, shownAt } from "../../bench/gateFit.ts";
import { fitLogistic, standard } from "../../bench/logistic.ts";
import { compare, drawPositions, positionAt } from "../../bench/positions.ts";
import { randomOf } from "../../bench/random.ts";
import { drawTraces, type Key, keysOf } from "../../bench/traces.ts";
import type { WeighedRow } from "../../bench/weighedRows.ts";
import { parseGate } from "../../engine/completion/gate.ts";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "precis-replay-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function written(keys: readonly Key[]): string {
  return keys.reduce((text, { kind, text: part }) => (kind === "delete" ? text.slice(0, -1) : text + part), "");
}

const CODE = `import os

def total(items):
    result = 0
    for item in items:
        result += item.price
    return result


def show(items):
    print(total(items), os.getcwd())
    return None
`;

describe("a trace", () => {
  test("leaves exactly its lines behind, keys in order, a line break with its indentation as one", () => {
    const text = "for item in items:\n    total += item\n    print(total)";
    let typos = 0;
    for (let seed = 0; seed < 50; seed += 1) {
      const keys = keysOf(text, randomOf(seed));
      expect(written(keys)).toBe(text);
      expect(keys[0]?.at).toBe(0);
      expect(keys.every((key, n) => n === 0 || key.at > (keys[n - 1]?.at ?? 0))).toBe(true);
      expect(keys.filter((key) => key.text === "\n    ")).toHaveLength(2);
      typos += keys.filter((key) => key.kind === "delete").length;
    }
    expect(typos).toBeGreaterThan(0);
  });

  test("put back gives the file", async () => {
    writeFileSync(join(dir, "a.py"), CODE);
    const traces = await drawTraces(dir, ["a.py"], 100, 0);
    expect(traces.length).toBeGreaterThan(3);
    for (const { before, typed, after, keys } of traces) {
      expect(before + typed + after).toBe(CODE);
      expect(written(keys)).toBe(typed);
    }
    expect(await drawTraces(dir, ["a.py"], 100, 0)).toEqual(traces);
  });
});

describe("a position", () => {
  test("takes the rest of its line out of the file", async () => {
    writeFileSync(join(dir, "a.py"), CODE);
    const positions = await drawPositions(dir, ["a.py"], 100, 1);
    expect(positions.length).toBeGreaterThan(3);
    for (const { text, offset, truth } of positions) {
      expect(text.slice(0, offset) + truth + text.slice(offset)).toBe(CODE);
      expect(truth.trim().length).toBeGreaterThanOrEqual(3);
    }
  });

  test.each<[offer: string, outcome: string]>([
    ["result = 0", "exact"],
    ["result", "beginning"],
    ["result = 0\n    for item in items:", "beginning"],
    ["res", "wrong"],
    ["result = 1", "wrong"],
    ["", "wrong"],
  ])("%j is %s", (offer, outcome) => {
    expect(compare(offer, positionAt("a.py", CODE, 3, 4, true))).toBe(outcome);
  });
});

test("logistic regression finds the weights that made the answers", () => {
  const random = randomOf(3);
  const rows = Array.from({ length: 4000 }, () => [2 * random() - 1, 2 * random() - 1]);
  const answers = rows.map(([a = 0, b = 0]) => Number(random() < 1 / (1 + Math.exp(-(-1 + 2 * a - 3 * b)))));
  const { bias, weights } = fitLogistic(rows, answers, 0.1);
  expect(bias).toBeCloseTo(-1, 0);
  expect(weights[0]).toBeCloseTo(2, 0);
  expect(weights[1]).toBeCloseTo(-3, 0);
  expect(Math.abs((weights[0] ?? 0) - 2)).toBeLessThan(0.3);
});

test("a column that never varies has scale 1", () => {
  expect(standard([2, 2, 2])).toEqual({ mean: 2, scale: 1 });
});

describe("a fitted gate", () => {
  const random = randomOf(5);
  const rows = Array.from({ length: 1500 }, (_, n): WeighedRow => {
    const x = 2 * random() - 1;
    const isRight = random() < 1 / (1 + Math.exp(2 - 4 * x));
    return {
      repo: "r",
      path: `${n % 37}.py`,
      kind: "rest",
      mode: "full",
      offer: "offered",
      truth: isRight ? "offered" : "other",
      outcome: isRight ? "exact" : "wrong",
      features: { meanLogProb: x, unresolved: Number(!isRight && n % 10 === 0) },
      facts: {},
    };
  });
  const options = { reader: "0123456789abcdef", fitted: "drawn" };
  const model = fitGate(rows, options);
  const judged = crossJudge(rows, options);

  test("is what an engine reads", () => {
    expect(parseGate(JSON.stringify(model))).toEqual(model);
  });

  test("has thresholds that keep their shares of what is right in files it was not fitted to", () => {
    expect(judged).toHaveLength(rows.length);
    for (const policy of ["balanced", "strict"] as const)
      expect(shownAt(judged, model.thresholds[policy]).recall).toBeCloseTo(KEPT[policy], 1);
    expect(shownAt(judged, model.thresholds.strict).precision).toBeGreaterThan(shownAt(judged, 0).precision);
  });

  test("states probabilities that hold", () => {
    for (const { predicted, observed } of reliability(judged, 5))
      expect(Math.abs(predicted - observed)).toBeLessThan(0.1);
  });

  test("never shows what names something unknown", () => {
    const unknown = rows.filter((row) => row.features["unresolved"] === 1);
    expect(judge(model, unknown).every(({ probability }) => probability === 0)).toBe(true);
    expect(judge(model, unknown, false).every(({ probability }) => probability > 0)).toBe(true);
  });
});
