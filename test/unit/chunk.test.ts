import { beforeAll, describe, expect, test } from "vitest";
import type { Chunk } from "../../engine/domain.ts";
import { chunk } from "../../engine/indexing/chunk.ts";
import { type Language, loadLanguages } from "../../engine/languages/languages.ts";
import { countTokens } from "./indexing.ts";

let python: Language;

beforeAll(async () => {
  const language = (await loadLanguages()).forPath("x.py");
  if (language === undefined) throw new Error("no Python");
  python = language;
});

function cut(text: string, maxTokens: number): Chunk[] {
  return chunk(text, python, countTokens, maxTokens).chunks;
}

/** As a file of no known language. */
function cutPlain(text: string, maxTokens: number): Chunk[] {
  return chunk(text, undefined, countTokens, maxTokens).chunks;
}

/** What every chunking must keep, whatever the text. */
function expectSound(text: string, chunks: readonly Chunk[], maxTokens: number): void {
  const lines = text.split(/\r\n|\n|\r/);
  let at = 0;
  for (const each of chunks) {
    expect(each.start).toBeGreaterThanOrEqual(at);
    expect(text.slice(at, each.start).trim()).toBe("");
    expect(each.text).toBe(text.slice(each.start, each.end));
    expect(each.text.trim()).not.toBe("");
    expect(each.tokens).toBe(countTokens(each.text));
    expect(each.tokens).toBeLessThanOrEqual(maxTokens);
    expect(each.text.isWellFormed()).toBe(true);
    const [firstLine = ""] = each.text.split(/\r\n|\n|\r/);
    expect(lines[each.startLine - 1]).toContain(firstLine);
    expect(each.endLine - each.startLine + 1).toBe(each.text.split(/\r\n|\n|\r/).length);
    at = each.end;
  }
  expect(text.slice(at).trim()).toBe("");
}

const FILE = `"""What the file is for."""
import os
from pathlib import Path

LIMIT = 3


# Adds.
@cached
def add(a, b):
    return a + b


class Store:
    """Keeps things."""

    size = 0

    def open(self, path):
        self.path = Path(path)
        return self

    def close(self):
        self.path = None
`;

describe("syntax decides", () => {
  test("a file that fits is one chunk", () => {
    const [only, ...rest] = cut(FILE, 500);
    expect(rest).toEqual([]);
    expect(only).toMatchObject({
      start: 0,
      startLine: 1,
      endLine: 24,
      features: { kind: "statements", qualifiedName: "" },
    });
  });

  test("neighbours are packed, definitions stay whole, comments and decorators go with what follows", () => {
    const chunks = cut(FILE, 60);
    expect(chunks.map(({ text }) => text.split("\n")[0])).toEqual(['"""What the file is for."""', "class Store:"]);
    expectSound(FILE, chunks, 60);
    const small = cut(FILE, 24);
    expect(small.map(({ text }) => text.split("\n")[0])).toEqual([
      '"""What the file is for."""',
      "# Adds.",
      "class Store:",
      "    def open(self, path):",
      "    def close(self):",
    ]);
    expectSound(FILE, small, 24);
  });

  test("a class too large becomes its header and its methods", () => {
    const chunks = cut(FILE, 24);
    expect(chunks.map(({ features: { kind, qualifiedName } }) => `${kind} ${qualifiedName}`)).toEqual([
      "statements ",
      "function add",
      "class Store",
      "method Store.open",
      "method Store.close",
    ]);
    expect(chunks[3]?.features).toMatchObject({
      signature: "def open(self, path):",
      defines: ["open", "path"],
      references: ["self", "Path", "path"],
      imports: [],
    });
    expect(chunks[0]?.features).toMatchObject({ imports: ["os", "pathlib.Path"], defines: ["LIMIT"] });
    expect(chunks[1]?.features.linearised).toBe(
      "(decorated_definition (decorator cached) (function_definition add (parameters a b) " +
        "(block (return_statement (binary_operator a b)))))",
    );
  });

  test("a function too large becomes groups of its statements", () => {
    const body = Array.from({ length: 12 }, (_, n) => `    value_${n} = call(${n})`).join("\n");
    const text = `def long():\n${body}\n`;
    const chunks = cut(text, 30);
    expectSound(text, chunks, 30);
    expect(chunks.length).toBeGreaterThan(2);
    for (const { features } of chunks) expect(features).toMatchObject({ kind: "function", qualifiedName: "long" });
  });

  test("statements inside statements are opened, and else: goes with its branch", () => {
    const branch = (n: number) => `        a_${n} = call(${n})\n        b_${n} = call(${n})\n`;
    const text = `def f():\n    if x:\n${branch(1)}    else:\n${branch(2)}`;
    const chunks = cut(text, 24);
    expect(chunks.map((each) => each.text)).toEqual([
      "def f():\n    if x:\n        a_1 = call(1)\n        b_1 = call(1)",
      "    else:\n        a_2 = call(2)\n        b_2 = call(2)",
    ]);
  });

  test("imports alone are imports", () => {
    expect(cut("import os\nimport sys\n", 50)[0]?.features).toMatchObject({ kind: "imports", imports: ["os", "sys"] });
  });

  test("nested functions carry their whole name", () => {
    const text = "def outer():\n    def inner():\n        return 1 + 2 + 3 + 4\n    return inner() + 1 + 2 + 3 + 4\n";
    expect(cut(text, 14).map(({ features }) => features.qualifiedName)).toEqual(["outer", "outer.inner", "outer"]);
  });

  test("two statements on one line stay together", () => {
    const text = "a = 1; b = 2\nc = 3; d = 4\n";
    expect(cut(text, 7).map((each) => each.text)).toEqual(["a = 1; b = 2", "c = 3; d = 4"]);
  });
});

describe("without syntax", () => {
  test("an unknown language is cut at blank lines", () => {
    const text = "one two three\nfour five\n\nsix seven\neight nine ten\n";
    expect(cutPlain(text, 9).map((each) => each.text)).toEqual([
      "one two three\nfour five",
      "six seven\neight nine ten",
    ]);
    expect(cutPlain(text, 9)[0]?.features).toMatchObject({ kind: "text", qualifiedName: "", references: [] });
  });

  test("else where the indentation is least", () => {
    const text = "a b c d\n  e f g h\n  i j k l\nm n o p\n  q r s t\n";
    expect(cutPlain(text, 19).map((each) => each.text.split("\n").length)).toEqual([3, 2]);
  });

  test("most of a file in error is cut as text, with a problem", () => {
    const prose = "It was a dark, and stormy night; the rain fell: in torrents!\n".repeat(8);
    const { chunks, problems } = chunk(prose, python, countTokens, 40);
    expect(problems.map(({ code }) => code)).toEqual(["PARSE_FALLBACK"]);
    expectSound(prose, chunks, 40);
  });

  test("an error in one place costs the rest nothing", () => {
    const broken = `${FILE}\n\ndef broken(:\n    return (1,\n`;
    const { chunks, problems } = chunk(broken, python, countTokens, 24);
    expect(problems).toEqual([]);
    expect(chunks.map(({ features }) => features.qualifiedName)).toEqual(expect.arrayContaining(["add", "Store.open"]));
    expectSound(broken, chunks, 24);
  });

  test("a parser that throws is a problem, not an error", () => {
    const failing: Language = {
      name: "failing",
      extensions: [".x"],
      parse: () => {
        throw new Error("out of memory");
      },
      follow: () => expect.unreachable("chunks are cut from finished texts"),
    };
    const { chunks, problems } = chunk(FILE, failing, countTokens, 24);
    expect(problems[0]?.detail).toContain("out of memory");
    expectSound(FILE, chunks, 24);
  });

  test("a parser that gives up is a problem", () => {
    const follow = () => expect.unreachable("chunks are cut from finished texts");
    const late: Language = { name: "late", extensions: [".x"], parse: () => undefined, follow };
    expect(chunk(FILE, late, countTokens, 24).problems[0]?.code).toBe("PARSE_FALLBACK");
  });
});

describe("odd texts", () => {
  test.each([
    ["nothing", ""],
    ["blank lines", "\n\n  \n\t\n"],
  ])("%s gives no chunk", (_name, text) => {
    expect(chunk(text, python, countTokens, 24)).toEqual({ chunks: [], problems: [] });
  });

  test("carriage returns are kept", () => {
    const text = FILE.replaceAll("\n", "\r\n");
    const chunks = cut(text, 24);
    expectSound(text, chunks, 24);
    expect(chunks.map(({ startLine, endLine }) => [startLine, endLine])).toEqual(
      cut(FILE, 24).map(({ startLine, endLine }) => [startLine, endLine]),
    );
    expect(chunks[1]?.text).toContain("\r\n");
  });

  test("offsets count UTF-16 code units after characters outside the basic plane", () => {
    const text = `title = "🚀🚀"\n日本 = "𝒳"\n\n\ndef after(): return "🚀"\n`;
    const chunks = cut(text, 12);
    expectSound(text, chunks, 12);
    const after = chunks.find(({ features }) => features.qualifiedName === "after");
    expect(after?.start).toBe(text.indexOf("def after"));
    expect(after?.features.signature).toBe("def after():");
  });

  test("a line over the limit is cut hard, never inside a surrogate pair", () => {
    const text = `x = [${"🚀,".repeat(500)}]\ny = 1\n`;
    const chunks = cut(text, 16);
    expectLongLine(text, chunks, 16);
    for (const offset of [0, 1]) {
      const emoji = `${"a".repeat(offset)}${"🚀".repeat(300)}`;
      expectLongLine(emoji, cutPlain(emoji, 16), 16);
    }
  });

  test("a line beyond counting is cut without being counted whole", () => {
    let longest = 0;
    const counting = (text: string) => {
      longest = Math.max(longest, text.length);
      return countTokens(text);
    };
    const text = `x = "${"a b ".repeat(30_000)}"\n`;
    const { chunks } = chunk(text, python, counting, 64);
    expectLongLine(text, chunks, 64);
    expect(longest).toBeLessThan(40_000);
  });

  test("5,000 nested ifs and 5,000 brackets", () => {
    const ifs = Array.from({ length: 5000 }, (_, n) => `${" ".repeat(n)}if x:\n`)
      .join("")
      .concat(" ".repeat(5000), "pass\n");
    const brackets = `x = ${"[".repeat(5000)}${"]".repeat(5000)}\n`;
    expectSound(ifs, cut(ifs, 64), 64);
    expectLongLine(brackets, cut(brackets, 64), 64);
  });

  test.each([1, 2, 3])("any mixture of lines, seed %i", (seed) => {
    let state = seed;
    const random = (n: number) => {
      state = (state * 1103515245 + 12345) % 2 ** 31;
      return state % n;
    };
    const parts = [
      "def f(x):",
      "class A:",
      "return 🚀",
      "",
      "  ",
      "# note",
      "x = (1,",
      ")",
      "if y:",
      "else:",
      '"""',
      "import a.b",
      "@d",
      "\t",
      "a = 1; b = 2",
      "é = '𝒳'",
    ];
    const breaks = ["\n", "\n", "\r\n", "\r"];
    for (let round = 0; round < 60; round++) {
      let text = "";
      for (let n = random(60); n > 0; n--)
        text += " ".repeat(4 * random(4)) + parts[random(parts.length)] + breaks[random(breaks.length)];
      const maxTokens = 8 + random(40);
      expectSound(text, cut(text, maxTokens), maxTokens);
    }
  });
});

/** As `expectSound`, for lines cut in pieces. */
function expectLongLine(text: string, chunks: readonly Chunk[], maxTokens: number): void {
  const solid = (part: string) => part.replace(/\s/g, "");
  expect(chunks.map((each) => solid(each.text)).join("")).toBe(solid(text));
  for (const [n, each] of chunks.entries()) {
    expect(each.start).toBeGreaterThanOrEqual(chunks[n - 1]?.end ?? 0);
    expect(each.text).toBe(text.slice(each.start, each.end));
    expect(each.tokens).toBe(countTokens(each.text));
    expect(each.tokens).toBeLessThanOrEqual(maxTokens);
    expect(each.text.isWellFormed()).toBe(true);
  }
}
