import { describe, expect, test } from "vitest";
import type { Completion } from "../../engine/completion/complete.ts";
import { FILTERS } from "../../engine/completion/postprocess.ts";
import type { Node } from "../../engine/domain.ts";
import type { NoCompletionReason } from "../../engine/errors.ts";
import { explain } from "../../engine/explain.ts";
import { FILTER_MEANINGS, meaningOf, SILENCES } from "../../engine/reasons.ts";
import { Trace } from "../../engine/trace.ts";

function completion(changes: Partial<Completion> = {}, facts: Record<string, string | number> = {}): Completion {
  const trace = new Trace();
  for (const [name, value] of Object.entries(facts)) trace.note(name, value);
  trace.stages["retrieve"] = 12;
  return {
    text: "desk.record_scan(parcel)",
    replaceRight: 0,
    mode: "full",
    promptTokens: 300,
    contextTokens: 100,
    pseudoTokens: 0,
    candidates: [{ node: node("parcels/my desk.py", 3, 12), score: 0.4567, retriever: "jaccard+bm25" }],
    prompt: { path: "a.py", prefix: "import os\nscan = ", suffix: "\nprint(scan)", query: "" },
    timings: { retrieveMs: 12, prefillMs: 20, ttftMs: 40, totalMs: 60, tokens: 9 },
    problems: [],
    trace,
    ...changes,
  };
}

function node(path: string, startLine: number, endLine: number): Node {
  return { id: 1, level: "chunk", path, start: 0, end: 1, startLine, endLine, text: "x" };
}

const at = { root: "/w", path: "parcels/returns.py", line: 9, column: 8 };

describe("the account of a completion", () => {
  test("links every candidate to its lines", () => {
    expect(explain({ ...at, completion: completion() })).toContain(
      "[parcels/my desk.py:3–12](parcels/my%20desk.py#L3-L12) | chunk | 0.457 | jaccard, bm25 |",
    );
  });

  test("shows both windows, folded, and counts positions", () => {
    const text = explain({ ...at, completion: completion() });
    expect(text).toContain("<summary>Before the cursor, 2 lines</summary>\n\n```py\nimport os\nscan = \n```");
    expect(text).toContain("300 positions: 200 around the cursor, 100 of retrieved text, 0 pseudo-tokens.");
  });

  test("an answer that was given again shows the account of the request that made it", () => {
    const account = completion({ text: "desk.record_scan(parcel)" }, { raw: "desk.record_scan(parcel)" });
    const reused = { origin: "typed along the last completion", typed: 5, account };
    const again: Completion = {
      ...completion({ text: "record_scan(parcel)", promptTokens: 0, candidates: [] }),
      trace: new Trace(),
      reused,
    };
    const text = explain({ ...at, completion: again });
    expect(text).toContain("Offered:\n\n```py\nrecord_scan(parcel)\n```");
    expect(text).toContain("**Reused**: typed along the last completion, 5 characters further.");
    for (const kept of ["parcels/my%20desk.py#L3-L12", "300 positions", "| retrieve | 12.0 |"])
      expect(text).toContain(kept);
  });

  test("lists the other offers of a manual trigger with their scores", () => {
    const others = [{ text: "desk.find(parcel)", replaceRight: 0, meanLogProb: -0.756 }];
    const text = explain({ ...at, completion: completion({ others }) });
    expect(text).toContain("## Also offered");
    expect(text).toContain("-0.76:\n\n```py\ndesk.find(parcel)\n```");
  });

  test("says that nobody chose the mode", () => {
    expect(explain({ ...at, completion: completion() })).toContain("mode **full** ·");
    expect(explain({ ...at, completion: completion(), isModeLeftToPack: true })).toContain(
      "mode **full** (the model's own choice) ·",
    );
  });

  test("a note stands before all else, also where nothing was asked", () => {
    expect(explain(undefined, "> quiet")).toMatch(/^# Last completion\n\n> quiet\n\nNothing/);
    expect(explain({ ...at, completion: completion() }, "> quiet")).toMatch(/^# Last completion\n\n> quiet\n\n\[/);
  });

  test("names the filters that fired and what was written before them", () => {
    const text = explain({
      ...at,
      completion: completion({}, { raw: "desk.record_scan(parcel)\nx", filters: "line-limit" }),
    });
    expect(text).toContain("```py\ndesk.record_scan(parcel)\nx\n```");
    expect(text).toContain(`- **line-limit**: ${FILTER_MEANINGS["line-limit"]}`);
  });

  test("says why nothing was offered, and what was written all the same", () => {
    const text = explain({
      ...at,
      completion: completion({ text: "", reason: "filtered(repetition)" }, { raw: "a a a a", filters: "repetition" }),
    });
    expect(text).toContain(
      "**Nothing was offered** (`filtered(repetition)`). What the reader wrote was dropped: the reader",
    );
    expect(text).toContain("a a a a");
  });

  test("gives pseudo-tokens a node", () => {
    const text = explain({ ...at, completion: completion({ mode: "compressed", contextTokens: 0, pseudoTokens: 4 }) });
    expect(text).toContain("## Nodes it read, 4 pseudo-tokens each");
  });

  test("fences code that holds fences", () => {
    expect(explain({ ...at, completion: completion({ text: "```\nx" }) })).toContain("````py\n```\nx\n````");
  });

  test("says so before the first request", () => {
    expect(explain(undefined)).toContain("Nothing has been asked yet");
  });
});

test("every filter has a meaning", () => {
  expect(Object.keys(FILTER_MEANINGS).sort()).toEqual(FILTERS.map(({ name }) => name).sort());
});

test("silences say what they are about", () => {
  expect(meaningOf("language-off(markdown)")).toContain("markdown");
  expect(meaningOf("scheme-not-supported(git)")).toContain("`git:`");
  expect(meaningOf("after-deletion")).not.toBe("after-deletion.");
  expect(meaningOf("reader-failed(ENDPOINT_MODEL)")).toContain("precis.reader.model");
});

test.each<NoCompletionReason>([
  ...SILENCES,
  "language-off(go)",
  "scheme-not-supported(git)",
  "hidden(gate)",
  "hidden(unknown-name)",
  "hidden(too-short)",
  ...FILTERS.map(({ name }): NoCompletionReason => `filtered(${name})`),
])("%s is said in words", (reason) => {
  expect(meaningOf(reason)).toMatch(/^[A-Z].{20,}\.$/s);
});

test("a reason nobody described still says its name", () => {
  expect(meaningOf("filtered(new-filter)")).toContain("new-filter");
  expect(meaningOf("hidden(new-gate)" as NoCompletionReason)).toContain("new-gate");
});
