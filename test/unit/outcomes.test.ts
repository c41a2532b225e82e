import { beforeEach, describe, expect, test } from "vitest";
import { type Outcome, Outcomes } from "../../engine/outcomes.ts";

const URI = "file:///a.py";

let outcomes: Outcomes;
let told: [fate: string, characters: number][];
let at: number;

beforeEach(() => {
  told = [];
  at = 0;
  outcomes = new Outcomes(({ fate, characters }: Outcome) => told.push([fate, characters]));
});

/** A document with the cursor as █ and what is offered there; the answer comes a second after the last. */
function show(
  document: string,
  offer: string,
  { id = 1, replaceRight = 0, others = [] as readonly string[] } = {},
): string {
  at += 1000;
  const text = document.replace("█", "");
  outcomes.shown(
    {
      id,
      uri: URI,
      language: "python",
      text,
      offset: document.indexOf("█"),
      offer: { text: offer, replaceRight },
      others: others.map((other, n) => ({ id: id * 10 + n, offer: { text: other, replaceRight: 0 } })),
    },
    at,
  );
  return text;
}

/** The next versions of the document, `ms` apart. */
function become(texts: readonly string[], ms = 1000): void {
  for (const text of texts) {
    at += ms;
    outcomes.changed(URI, text, at);
  }
}

describe("an offer is", () => {
  test("accepted as a whole, once, though the command says so too", () => {
    show("x = █\n", "total(1)");
    become(["x = total(1)\n"]);
    outcomes.accepted(1, at);
    expect(told).toEqual([["accepted", 8]]);
  });

  test("accepted where it replaces what stands right of it", () => {
    show("f(█)\n", "a, b)", { replaceRight: 1 });
    become(["f(a, b)\n"]);
    expect(told).toEqual([["accepted", 4 + 1]]);
  });

  test("taken in part, then left", () => {
    show("x = █\n", "total of all");
    become(["x = total\n", "x = total!\n"]);
    expect(told).toEqual([["part", 5]]);
  });

  test("taken word by word to its end", () => {
    show("x = █\n", "a_long_name(other)");
    become(["x = a_long_name\n", "x = a_long_name(other)\n"]);
    expect(told).toEqual([["accepted", 18]]);
  });

  test("typed along, the rest taken: only the rest counts as taken", () => {
    show("x = █\n", "total(1)");
    become(["x = t\n", "x = to\n"]);
    show("x = to█\n", "tal(1)", { id: 2 });
    become(["x = total(1)\n"]);
    expect(told).toEqual([["accepted", 6]]);
  });

  test("typed to its end by hand", () => {
    show("x = █\n", "abc");
    become(["x = a\n", "x = ab\n", "x = abc\n", "x = abcd\n"]);
    expect(told).toEqual([["typed", 0]]);
  });

  test("taken with its last character by the command", () => {
    show("x = █\n", "ab");
    become(["x = a\n", "x = ab\n"]);
    outcomes.accepted(1, at);
    expect(told).toEqual([["accepted", 1]]);
  });

  test("still the same when the editor closes a bracket by itself", () => {
    show("x = █\n", "f(a)");
    become(["x = f\n", "x = f()\n", "x = f(a)\n", "x = f(a)b\n"]);
    expect(told).toEqual([["typed", 0]]);
  });

  test("rejected when something else is written", () => {
    show("x = █\n", "total");
    become(["x = n\n", "x = no\n"]);
    expect(told).toEqual([["rejected", 0]]);
  });

  test("not refused when it was there for a blink only", () => {
    show("x = █\n", "total");
    become(["x = n\n"], 100);
    expect(told).toEqual([]);
  });

  test("ended by another one", () => {
    show("x = █\n", "total");
    show("x = █\n", "other", { id: 2 });
    expect(told).toEqual([["rejected", 0]]);
  });

  test("ended when the document closes", () => {
    show("x = █\n", "total");
    at += 1000;
    outcomes.closed(URI, at);
    expect(told).toEqual([["rejected", 0]]);
  });
});

describe("of several offers", () => {
  test("the one that is taken counts, once", () => {
    show("x = █\n", "total(1)", { others: ["totals[1]", "other"] });
    become(["x = totals[1]\n"]);
    expect(told).toEqual([["accepted", 9]]);
  });

  test("a word of one of them counts as a part", () => {
    show("x = █\n", "total(1)", { others: ["other + 1"] });
    become(["x = other\n", "x = other!\n"]);
    expect(told).toEqual([["part", 5]]);
  });

  test("a word that two share, then the second", () => {
    show("x = █\n", "total + 1", { others: ["total - 2"] });
    become(["x = total\n", "x = total - 2\n"]);
    expect(told).toEqual([["accepted", 9]]);
  });

  test("none of them followed is one refusal", () => {
    show("x = █\n", "total", { others: ["other"] });
    become(["x = n\n"]);
    expect(told).toEqual([["rejected", 0]]);
  });

  test("asked for beside one that is shown, they are the same showing", () => {
    show("x = █\n", "total(1)");
    become(["x = t\n"]);
    show("x = t█\n", "otal(1)", { id: 2, others: ["est()"] });
    become(["x = test()\n"]);
    expect(told).toEqual([["accepted", 5]]);
  });
});

describe("after 30 s", () => {
  const fateAfter = (
    document: string,
    offer: string,
    accepted: string,
    edits: readonly string[],
  ): string | undefined => {
    show(document, offer);
    become([accepted, ...edits]);
    outcomes.settle(at + 29_000 - 1000 * edits.length);
    expect(told.at(-1)?.[0]).toBe("accepted");
    expect(outcomes.nextAt).toBeDefined();
    outcomes.settle(at + 31_000);
    expect(outcomes.nextAt).toBeUndefined();
    return told.at(-1)?.[0];
  };

  test.each<[string, string[], string]>([
    ["untouched", [], "survived"],
    ["lines above and below came", ["import os\nx = total(1)\n", "import os\nx = total(1)\ny = 2\n"], "survived"],
    ["indented anew", ["if a:\n    x = total(1)\n"], "survived"],
    ["written on behind it", ["x = total(1) + 3\n"], "survived"],
    ["deleted", ["x = \n"], "lost"],
    ["half of it written anew", ["x = tot\n", "x = totally_else\n"], "lost"],
    ["everything replaced", ["nothing left"], "lost"],
  ])("%s: %s", (_, edits, fate) => {
    expect(fateAfter("x = █\n", "total(1)", "x = total(1)\n", edits)).toBe(fate);
  });

  test("a small change is no loss", () => {
    const offer = "a_long_and_telling_name(first, second)";
    expect(fateAfter("x = █\n", offer, `x = ${offer}\n`, [`x = ${offer.replace("second", "seconds")}\n`])).toBe(
      "survived",
    );
  });

  test("a document that closes is judged as it is", () => {
    show("x = █\n", "total");
    become(["x = total\n"]);
    outcomes.closed(URI, at);
    expect(told).toEqual([
      ["accepted", 5],
      ["survived", 5],
    ]);
  });
});

test("what is forgotten is never reported", () => {
  show("x = █\n", "total");
  become(["x = total\n"]);
  show("x = total█\n", "(1)", { id: 2 });
  outcomes.forget();
  outcomes.settle(at + 60_000);
  become(["x = nothing\n"]);
  expect(told).toEqual([["accepted", 5]]);
});
