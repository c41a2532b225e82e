// Which offers are shown, and what the trace says of it.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Verdict, Weighed } from "../../engine/completion/complete.ts";
import { type GateModel, type GatePolicy, NO_SHIFT } from "../../engine/completion/gate.ts";
import { gateFeatures } from "../../engine/completion/gateFeatures.ts";
import { openGate } from "../../engine/completion/openGate.ts";
import { ASKED_BY_HAND } from "../../engine/completion/signals.ts";
import { NOTHING_CHECKED } from "../../engine/completion/symbols.ts";
import { createWeigh } from "../../engine/completion/weigh.ts";
import { type Languages, loadLanguages } from "../../engine/languages/languages.ts";
import type { Pack } from "../../engine/pack/pack.ts";

let languages: Languages;
beforeAll(async () => {
  languages = await loadLanguages();
});

const READER = "0123456789abcdef";
const MODEL: GateModel = {
  schemaVersion: 1,
  reader: READER,
  bias: 0,
  features: { meanLogProb: { mean: -1, scale: 0.5, weight: 2 } },
  thresholds: { balanced: 0.3, strict: 0.9 },
  fitted: "by hand",
};

function weighed(document: string, offer: string, gate: GatePolicy, logProb = -1): Weighed {
  const offset = document.indexOf("█");
  const text = document.replace("█", "");
  return {
    cursor: { path: "a.py", text, offset },
    mode: "full",
    gate,
    signals: { ...ASKED_BY_HAND, trigger: "automatic" },
    prompt: { path: "a.py", prefix: text.slice(0, offset), suffix: text.slice(offset), query: text },
    candidates: [],
    generation: {
      tokens: [1, 2],
      logProbs: [logProb, logProb],
      margins: [1, 1],
      runnersUp: [3, 4],
      end: "lines",
      prefillMs: 1,
      ttftMs: 1,
      totalMs: 1,
      reusedTokens: 0,
      runs: 1,
      drafted: 0,
      accepted: 0,
    },
    raw: offer,
    offer: { text: offer, replaceRight: 0 },
  };
}

function verdict(offer: string, gate: GatePolicy, logProb?: number, hasGate = true) {
  const weigh = createWeigh({
    languageOf: languages.forPath,
    gate: () => (hasGate ? { model: MODEL, shift: NO_SHIFT } : undefined),
  });
  return weigh(weighed("total = 1\nx = █\n", offer, gate, logProb));
}

describe("an offer", () => {
  test.each<[offer: string, gate: GatePolicy, logProb: number, hiddenBy: string | undefined]>([
    ["total + 1", "balanced", -1, undefined],
    ["total + 1", "balanced", -3, "gate"],
    ["total + 1", "strict", -1, "gate"],
    ["total + 1", "strict", -0.1, undefined],
    ["total + 1", "off", -8, undefined],
    ["),", "balanced", 0, "too-short"],
    ["),", "off", 0, undefined],
    ["frobnicate(total)", "balanced", 0, "unknown-name"],
    ["frobnicate(total)", "off", 0, undefined],
  ])("%j, gate %s, %d: %s", async (offer, gate, logProb, hiddenBy) => {
    expect((await verdict(offer, gate, logProb)).hiddenBy).toBe(hiddenBy);
  });

  test("says why, with probability, threshold and what moved it", async () => {
    expect((await verdict("total + 1", "balanced", -3)).facts).toEqual({
      probability: expect.closeTo(0.002, 2),
      threshold: 0.3,
      because: expect.stringContaining("meanLogProb −6.00"),
    });
  });

  test.each([
    [-0.1, true],
    [-1, false],
  ])("is sure where a strict gate would show it: %d", async (logProb, isSure) => {
    expect((await verdict("total + 1", "balanced", logProb)).isSure).toBe(isSure);
  });

  test("names what it does not know", async () => {
    expect((await verdict("frobnicate(total)", "off")).facts).toMatchObject({ "names unknown": "frobnicate" });
  });

  test("of a pack without a gate is shown when it is long enough and names what exists", async () => {
    expect((await verdict("total + 1", "strict", -8, false)).hiddenBy).toBeUndefined();
    expect((await verdict("frobnicate(total)", "strict", 0, false)).hiddenBy).toBe("unknown-name");
  });
});

describe("features", () => {
  const of = (document: string, offer: string) => gateFeatures(weighed(document, offer, "balanced"), NOTHING_CHECKED);

  test.each<[name: string, document: string, offer: string]>([
    ["atLineStart", "if a:\n    █\n", "return 1"],
    ["afterDot", "a.█\n", "total"],
    ["afterDot", "a.to█\n", "tal"],
    ["afterAssignment", "a = █\n", "1"],
    ["afterOpener", "f(█)\n", "a"],
    ["afterNaming", "import █\n", "os"],
    ["inWord", "retu█\n", "rn"],
    ["inComment", "x = 1  # the █\n", "sum"],
    ["inString", "x = 'it\\'s █\n", "so'"],
    ["codeAtRight", "f(█)\n", "a"],
    ["onlyPunctuation", "f(a█\n", "):"],
    ["lineElsewhere", "a = total(b)\na = █\n", "total(b)"],
    ["restElsewhere", "a = total(b)\nc = █\n", "total(b)"],
  ])("%s in %j", (name, document, offer) => {
    expect(of(document, offer)[name]).toBe(1);
  });

  test("are all finite, whatever is offered", () => {
    for (const offer of ["", "\n", "x".repeat(5000), "'''", "😀"]) {
      for (const [name, value] of Object.entries(of("█", offer))) expect(value, name).toBeTypeOf("number");
      expect(Object.values(of("a\n█", offer)).every(Number.isFinite)).toBe(true);
    }
  });

  test("a comparison is no assignment", () => {
    expect(of("if a == █\n", "1")["afterAssignment"]).toBe(0);
  });
});

describe("a pack's gate", () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "precis-gate-"));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  const packWith = (gate: string | undefined, reader = READER): Pack =>
    ({
      dir,
      manifest: {
        ...(gate === undefined ? {} : { gate }),
        reader: { file: "reader.onnx" },
        files: { "reader.onnx": { sha256: reader.padEnd(64, "0"), bytes: 1 } },
      },
    }) as unknown as Pack;

  test("is opened when it was fitted to the pack's reader", async () => {
    writeFileSync(join(dir, "gate.json"), JSON.stringify(MODEL));
    const { gate, problems } = await openGate(packWith("gate.json"));
    expect(gate).toEqual({ model: MODEL, shift: NO_SHIFT });
    expect(problems).toEqual([]);
  });

  test("need not be there", async () => {
    expect(await openGate(packWith(undefined))).toEqual({ problems: [] });
  });

  test.each<[string, () => Pack]>([
    ["its file is missing", () => packWith("gate.json")],
    [
      "it is damaged",
      () => {
        writeFileSync(join(dir, "gate.json"), "{");
        return packWith("gate.json");
      },
    ],
    [
      "it was fitted to another reader",
      () => {
        writeFileSync(join(dir, "gate.json"), JSON.stringify(MODEL));
        return packWith("gate.json", "f".repeat(16));
      },
    ],
  ])("is left aside, with a problem, when %s", async (_, pack) => {
    const { gate, problems } = await openGate(pack());
    expect(gate).toBeUndefined();
    expect(problems.map(({ code }) => code)).toEqual(["GATE_IGNORED"]);
  });
});

test("a reader that does not tell how sure it was is taken for a usual one", () => {
  const weigh = createWeigh({ languageOf: languages.forPath, gate: () => ({ model: MODEL, shift: NO_SHIFT }) });
  const told = weighed("total = 1\nx = █\n", "total + 1", "balanced", -5);
  const untold = { ...told, generation: { ...told.generation, logProbs: [], margins: [], runnersUp: [] } };
  expect(weigh(told)).toMatchObject({ hiddenBy: "gate" });
  const verdict = weigh(untold) as Verdict;
  expect(verdict.hiddenBy).toBeUndefined();
  expect(verdict.probability).toBeCloseTo(0.5, 5);
  expect(Object.keys(verdict.features ?? {})).not.toContain("meanLogProb");
  expect(Object.keys(verdict.features ?? {})).not.toContain("leastMargin");
});
