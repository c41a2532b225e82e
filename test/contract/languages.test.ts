// Every query in engine/languages keeps the same promises. What a language captures is shown by its fixture: real source
// in which `^` points at the column above it, `<-` at the column of the comment itself, and the words say what is there:
// a name's role, or a unit's kind with its qualified name and signature, or with its imports.
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { chunk } from "../../engine/indexing/chunk.ts";
import { readRows } from "../../engine/indexing/rows.ts";
import { type Branch, growTree } from "../../engine/indexing/syntaxTree.ts";
import { type Language, loadLanguages, type Syntax } from "../../engine/languages/languages.ts";
import { countTokens } from "../unit/indexing.ts";

const FIXTURES = new URL("../fixtures/languages/", import.meta.url);
const { all } = await loadLanguages();

interface Mark {
  readonly line: number;
  readonly offset: number;
  readonly words: string;
}

/** Marks stand alone on their lines, after the line they speak of. */
function readMarks(text: string): Mark[] {
  const marks: Mark[] = [];
  let start = 0;
  let marked = 0;
  for (const [index, line] of text.split("\n").entries()) {
    const mark = /^\s*(?:#|\/\/)\s*(\^|<-) (.+)$/.exec(line);
    if (mark === null) {
      marked = start;
    } else {
      const column = mark[1] === "^" ? line.indexOf("^") : line.search(/\S/);
      marks.push({ line: index + 1, offset: marked + column, words: mark[2] ?? "" });
    }
    start += line.length + 1;
  }
  return marks;
}

function withSyntax<T>(language: Language, text: string, look: (syntax: Syntax) => T): T {
  const syntax = language.parse(text);
  if (syntax === undefined) throw new Error(`${language.name} did not parse`);
  try {
    return look(syntax);
  } finally {
    syntax.delete();
  }
}

/** All that could be marked, by offset. */
function describeAll(text: string, syntax: Syntax): Map<number, string[]> {
  const found = new Map<number, string[]>();
  const add = (offset: number, words: string) => found.set(offset, [...(found.get(offset) ?? []), words]);
  for (const name of syntax.names) add(name.start, name.role);
  const visit = ({ unit, qualifiedName, branches }: Branch) => {
    const imports = syntax.imports.filter(({ start }) => start >= unit.start && start < unit.end);
    if (unit.kind === "import") add(unit.start, ["import", ...imports.map(({ path }) => path)].join(" "));
    else add(unit.start, unit.name === "" ? unit.kind : `${unit.kind} ${qualifiedName} = ${unit.signature}`);
    branches.forEach(visit);
  };
  growTree(syntax.units, readRows(text, countTokens)).branches.forEach(visit);
  return found;
}

describe.each(all.map((language) => [language.name, language] as const))("%s", (name, language) => {
  const file = readdirSync(FIXTURES).find((entry) => entry.replace(/\.[^.]+$/, "") === name);
  const text = file === undefined ? "" : readFileSync(new URL(file, FIXTURES), "utf8");

  test("captures what its fixture marks", () => {
    const marks = readMarks(text);
    expect(marks.length, `test/fixtures/languages/${name}.* needs marks`).toBeGreaterThan(10);
    withSyntax(language, text, (syntax) => {
      const found = describeAll(text, syntax);
      for (const { line, offset, words } of marks) {
        expect(found.get(offset) ?? [], `line ${line}`).toContain(words);
      }
    });
  });

  test("has every definition of its fixture marked, and a function, a class, an import, a binding and a parameter", () => {
    const marked = readMarks(text).map(({ words }) => words);
    withSyntax(language, text, (syntax) => {
      const definitions = [...describeAll(text, syntax).values()].flat().filter((words) => words.includes(" = "));
      expect(marked.filter((words) => words.includes(" = ")).sort()).toEqual(definitions.sort());
    });
    for (const kind of ["function ", "class ", "import ", "binding", "parameter", "reference", "definition"]) {
      expect(
        marked.some((words) => words.startsWith(kind)),
        kind,
      ).toBe(true);
    }
  });

  test("claims its fixture's extension", () => {
    expect(language.extensions.some((extension) => file?.endsWith(extension))).toBe(true);
  });

  test.each([
    ["nothing", ""],
    ["white space", " \t\n\r\n"],
    ["prose", "It was a dark and stormy night; the rain fell in torrents.\n".repeat(50)],
    ["control characters", "\u0000\u0001\u001b[31m\ufffe\n".repeat(50)],
    ["half a surrogate pair", "x = '\ud83d'\n"],
    ["5,000 open brackets", `x = ${"(".repeat(5000)}\n`],
    ["5,000 nested brackets", `x = ${"[".repeat(5000)}${"]".repeat(5000)}\n`],
  ])("survives %s", (_name, odd) => {
    const { chunks } = chunk(odd, language, countTokens, 64);
    expect(
      chunks
        .map((each) => each.text)
        .join("")
        .replace(/\s/g, ""),
    ).toBe(odd.replace(/\s/g, ""));
    // And is whole afterwards.
    expect(chunk(text, language, countTokens, 64).problems).toEqual([]);
  });
});

test("no two languages claim one extension", () => {
  const extensions = all.flatMap((language) => language.extensions);
  expect(new Set(extensions).size).toBe(extensions.length);
});
