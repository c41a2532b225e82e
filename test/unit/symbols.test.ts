// The symbol check on real parses: █ is the cursor, the offer stands beside it.
import { beforeAll, describe, expect, test } from "vitest";
import { argumentsOf, mismatch, partsAt, signaturesIn } from "../../engine/completion/arity.ts";
import { checkSymbols, type KnownNames, type SymbolReport } from "../../engine/completion/symbols.ts";
import { type Languages, loadLanguages } from "../../engine/languages/languages.ts";

let languages: Languages;
beforeAll(async () => {
  languages = await loadLanguages();
});

/** Another file of the workspace. */
const ELSEWHERE = `
def ship(parcel, carrier, express=False):
    return carrier.take(parcel)

class Desk:
    def record_scan(self, parcel, *, when=None):
        self.scans.append(parcel)
`;

const INDEX: KnownNames = {
  hasName: (name) => new RegExp(`\\b${name}\\b`).test(ELSEWHERE),
  textsWith: (name, phrase) => (ELSEWHERE.includes(phrase) && ELSEWHERE.includes(name) ? [ELSEWHERE] : []),
};

function check(document: string, offer: string, path = "a.py", isCut = false): SymbolReport {
  const offset = document.indexOf("█");
  const cursor = { path, text: document.replace("█", ""), offset };
  return checkSymbols(cursor, { text: offer, replaceRight: 0, isCut }, languages.forPath(path), INDEX);
}

describe("names", () => {
  test.each([
    ["a name of the file", "total = 1\nprint(█)\n", "total"],
    ["a built-in", "x = 1\n█\n", "print(len(str(x)))"],
    ["a parameter of the offer's own function", "█\n", "def f(a, *rest, **options):\n    return a, rest, options"],
    ["what the offer assigns", "█\n", "n = 3\nprint(n)"],
    ["a comprehension's variables", "rows = []\nx = █\n", "{key: value for key, (value, _) in rows}"],
    ["a special name", "class A:\n    █\n", "def __exit__(self): return self.__dict__"],
    ["an import", "█\n", "import json as j"],
    ["a method of a built-in type", "name = ''\nx = name.█\n", "strip().split()"],
    ["words of a string", "x = █\n", '"a wholly unknown thing"'],
    ["words of a comment", "x = 1  █\n", "# a wholly unknown thing"],
    ["an argument's name", "def f(colour): pass\nf(█)\n", "colour=1"],
  ])("%s is no finding", (_, document, offer) => {
    const { unresolved, unknownAttributes, notInFile, wrongCalls } = check(document, offer);
    expect({ unresolved, unknownAttributes, notInFile, wrongCalls }).toEqual({
      unresolved: [],
      unknownAttributes: [],
      notInFile: [],
      wrongCalls: [],
    });
  });

  test("a name that stands nowhere is unresolved", () => {
    expect(check("x = █\n", "frobnicate(1)")).toMatchObject({ unresolved: ["frobnicate"], isCertain: true });
  });

  test("a name begun left of the cursor is taken whole", () => {
    expect(check("x = frob█\n", "nicate(1)").unresolved).toEqual(["frobnicate"]);
    expect(check("order = 1\nx = ord█\n", "er").unresolved).toEqual([]);
  });

  test("an attribute is looked up as an attribute", () => {
    expect(check("desk = 1\ndesk.█\n", "record_scan(1)").unknownAttributes).toEqual([]);
    expect(check("desk = 1\ndesk.█\n", "unheard_of(1)").unknownAttributes).toEqual(["unheard_of"]);
    expect(check("desk = 1\ndesk.█\n", "unheard_of(1)").unresolved).toEqual([]);
  });

  test("a name that only another file has wants an import", () => {
    expect(check("x = █\n", "ship(1, 2)")).toMatchObject({ notInFile: ["ship"], unresolved: [] });
  });

  test("the last name of an offer cut short is no finding", () => {
    expect(check("x = █\n", "frobni", "a.py", true).unresolved).toEqual([]);
    expect(check("x = █\n", "frobni", "a.py", false).unresolved).toEqual(["frobni"]);
  });

  test("in a long file only the neighbourhood is parsed, the names are the whole file's", () => {
    const filler = Array.from({ length: 4000 }, (_, n) => `name_${n} = ${n}\n`).join("");
    expect(check(`${filler}x = █\n`, "name_1 + nowhere_to_be_seen").unresolved).toEqual(["nowhere_to_be_seen"]);
  });

  test("a language whose own names are not listed gives hints only; no language, nothing", () => {
    expect(check("package a\nfunc f() { █ }\n", "frobnicate()", "a.go").isCertain).toBe(false);
    expect(check("█", "frobnicate()", "a.unknown").checked).toBe(0);
  });
});

describe("calls", () => {
  const FILE = "def area(width, height=1): pass\n";

  test.each([
    ["area(1)", []],
    ["area(1, 2)", []],
    ["area(1, height=2)", []],
    ["area(*sides)", []],
    ["area(1, 2, 3)", ["area: 3 arguments, at most 2 wanted"]],
    ["area()", ["area: width is missing"]],
    ["area(1, depth=2)", ["area: no parameter depth"]],
    ["area(1, (2, 3)[0], 'a, b')", ["area: 3 arguments, at most 2 wanted"]],
  ])("%s", (offer, wrongCalls) => {
    expect(check(`${FILE}sides = ()\nx = █\n`, offer).wrongCalls).toEqual(wrongCalls);
  });

  test("a method's first parameter is its receiver; a class that calls it gives that itself", () => {
    expect(check("desk = 1\ndesk.█\n", "record_scan(1, 2)").wrongCalls).toEqual([
      "record_scan: 2 arguments, at most 1 wanted",
    ]);
    expect(check("desk = 1\ndesk.█\n", "record_scan(1, when=2)").wrongCalls).toEqual([]);
    expect(check("Desk = 1\nDesk.█\n", "record_scan(1, 2)").wrongCalls).toEqual([]);
  });

  test("two definitions that differ prove nothing", () => {
    expect(check("def g(a): pass\ndef g(a, b): pass\nx = █\n", "g()").wrongCalls).toEqual([]);
  });

  test("a call that goes on below the offer is not judged", () => {
    expect(check(`${FILE}x = █\n    1, 2, 3)\n`, "area(").wrongCalls).toEqual([]);
  });
});

describe("signatures", () => {
  test("defaults, annotations, lone marks, comments, strings", () => {
    const text = `
async def f(a, /, b: dict[str, int] = {"x": 1}, *, c: Literal["=", ")"], d=None,  # last, really
            **rest):
    pass`;
    const [signature] = signaturesIn(text, "f");
    expect(signature?.positional).toEqual([
      { name: "a", isRequired: true, isPositionalOnly: true },
      { name: "b", isRequired: false, isPositionalOnly: false },
    ]);
    expect(signature?.keywordOnly.map((each) => [each.name, each.isRequired])).toEqual([
      ["c", true],
      ["d", false],
    ]);
    expect(signature).toMatchObject({ hasRest: false, hasKeywords: true });
  });

  test("a bracket that is not closed is no list", () => {
    expect(partsAt("f(a, [b, c)", 1)).toBeUndefined();
    expect(partsAt("f('a", 1)).toBeUndefined();
    expect(partsAt("f()", 1)).toEqual({ parts: [], end: 3 });
    expect(partsAt("f(a, b,)", 1)?.parts).toEqual(["a", " b"]);
  });

  test("a comparison is no keyword", () => {
    expect(argumentsOf(["a == b", " c=1"])).toEqual({ positional: 1, keywords: ["c"], isSpread: false });
  });

  test("a parameter before the slash cannot be named", () => {
    const [signature] = signaturesIn("def f(a, /): pass", "f");
    if (signature === undefined) throw new Error("no signature");
    expect(mismatch(argumentsOf(["a=1"]), signature, false)).toBe("no parameter a");
  });
});
