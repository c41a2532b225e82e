// Every case of test/fixtures/completions/triggers: when to ask, and for how many lines.
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createDocumentSyntax } from "../../engine/completion/documentSyntax.ts";
import { shapeAt } from "../../engine/completion/lines.ts";
import { NO_RHYTHM, type Rhythm, withKeystroke, withLatency, withOutcome } from "../../engine/completion/rhythm.ts";
import type { LastChange } from "../../engine/completion/signals.ts";
import { type Decision, decide, type Situation } from "../../engine/completion/trigger.ts";
import { loadLanguages } from "../../engine/languages/languages.ts";
import { cutCursor, type GoldenCase, readGoldenCases } from "./goldenCases.ts";

const CASES = readGoldenCases(join(import.meta.dirname, "../fixtures/completions/triggers"));
const syntaxes = createDocumentSyntax(await loadLanguages());
const LEAST_MS = 60;
const NOW = 1_000_000;

function situationOf({ options, sections }: GoldenCase): Situation {
  const { text, offset } = cutCursor(sections["document"] ?? "");
  const [lineAfter = "", ...below] = text.slice(offset).split("\n");
  const [typed, listed] = options["listed"]?.split(" > ") ?? [];
  return {
    trigger: options["trigger"] === "manual" ? "manual" : "automatic",
    scheme: options["scheme"] ?? "file",
    languageId: options["language"] ?? "python",
    isLanguageOn: options["on"] !== "false",
    characters: Number(options["characters"] ?? text.length),
    wordCharacters: text.replace(/\s/g, "").length,
    lineBefore: text.slice(0, offset).split("\n").at(-1) ?? "",
    lineAfter,
    hasTextBelow: below.join("").trim() !== "",
    cursors: Number(options["cursors"] ?? 1),
    isDiff: options["diff"] === "true",
    isReadOnly: options["readonly"] === "true",
    lastChange: (options["change"] ?? "typed") as LastChange,
    listed: typed === undefined || listed === undefined ? undefined : { text: listed, typed },
    isAnswered: options["answered"] === "true",
  };
}

function rhythmOf({ options }: GoldenCase): Rhythm {
  let rhythm = NO_RHYTHM;
  const interval = Number(options["interval"] ?? 0);
  for (let n = 0; interval > 0 && n < 10; n += 1) rhythm = withKeystroke(rhythm, n * interval);
  if (options["latency"] !== undefined) rhythm = withLatency(rhythm, Number(options["latency"]));
  for (const [name, isAccepted] of [
    ["dismissed", false],
    ["accepted", true],
  ] as const)
    for (let n = 0; n < Number(options[name] ?? 0); n += 1) rhythm = withOutcome(rhythm, isAccepted, NOW);
  return rhythm;
}

function inWords(decision: Decision): string {
  if (decision.kind === "silent") return decision.reason;
  const { waitMs, doubtMs } = decision;
  return `ask ${Math.round(waitMs)}${doubtMs === 0 ? "" : `, doubtful ${Math.round(doubtMs)}`}`;
}

describe("when to ask", () => {
  it.each(CASES.filter(({ sections }) => "decision" in sections))("$name", (golden) => {
    const decision = decide(situationOf(golden), rhythmOf(golden), LEAST_MS, NOW);
    expect(inWords(decision)).toBe(golden.sections["decision"]);
  });
});

describe("one line or several", () => {
  it.each(CASES.filter(({ sections }) => "shape" in sections))("$name", ({ options, sections }) => {
    const { text, offset } = cutCursor(sections["document"] ?? "");
    const path = options["path"] ?? "case.py";
    const { maxLines, why } = shapeAt(
      { path, text, offset },
      Number(options["limit"] ?? 8),
      syntaxes.of(path, text, "")?.placeAt(text, offset),
    );
    expect(`${maxLines} ${why}`).toBe(sections["shape"]);
  });
});
