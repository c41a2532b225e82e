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

/** The fixture as a person would have written it. */
function withoutMarks(text: string): string {
  return text
    .split("\n")
    .filter((line) => !/^\s*(?:#|\/\/)\s*(\^|<-) /.test(line))
    .join("\n");
}

describe.each(all.map((language) => [language.name, language] as const))("chunks of %s", (name, language) => {
  const file = readdirSync(FIXTURES).find((entry) => entry.replace(/\.[^.]+$/, "") === name) ?? "";
  const text = withoutMarks(readFileSync(new URL(file, FIXTURES), "utf8"));

  test.each([40, 60, 120])("of at most %i tokens are cut where the syntax says", (limit) => {
    const { chunks, problems } = chunk(text, language, countTokens, limit);
    expect(problems).toEqual([]);
    for (const each of chunks) {
      expect(each.tokens).toBeLessThanOrEqual(limit);
      expect(each.text, "brackets alone").not.toMatch(/^[\s)\]};,]*$/);
    }
    withSyntax(language, text, ({ units }) => {
      for (const unit of units) {
        if (unit.name === "" || countTokens(withLead(text, unit.start, unit.end)) > limit / 2) continue;
        const lead = withLead(text, unit.start, unit.end).trim();
        const holders = chunks.filter((each) => each.start < unit.end && each.end > unit.start);
        expect(
          holders.map((each) => each.text.includes(lead)),
          `${unit.name}: ${holders.map((each) => each.text).join("\n---\n")}`,
        ).toEqual([true]);
      }
    });
  });

  test("of one definition know its kind, name and signature, and what it uses", () => {
    const { chunks } = chunk(text, language, countTokens, 60);
    const kinds = new Set(chunks.map(({ features }) => features.kind));
    expect(kinds.has("function") || kinds.has("method"), [...kinds].join()).toBe(true);
    const definitions = chunks.filter(({ features }) => ["function", "method"].includes(features.kind));
    for (const { features, text: own } of definitions) {
      expect(features.qualifiedName).not.toBe("");
      expect(features.signature).not.toBe("");
      const last = features.qualifiedName.split(".").at(-1) ?? "";
      if (own.includes(features.signature)) expect(features.defines).toContain(last);
    }
    expect(chunks.flatMap(({ features }) => features.imports).length).toBeGreaterThan(0);
    expect(chunks.flatMap(({ features }) => features.references).length).toBeGreaterThan(10);
    const linearised = chunks.map((each) => each.features.linearised).join(" ");
    expect(linearised).not.toMatch(
      /\((?:identifier|type_identifier|field_identifier|property_identifier|name|constant)\)/,
    );
  });
});

/** A definition with the comment lines above it. */
function withLead(text: string, start: number, end: number): string {
  const lines = text.slice(0, start).split("\n");
  const own = lines.pop() ?? "";
  let lead = own;
  while (/^\s*(?:\/\/|\/?\*|#(?!include|define|if|endif|!))/.test(lines.at(-1) ?? "")) lead = `${lines.pop()}\n${lead}`;
  return lead + text.slice(start, end);
}

test("no two languages claim one extension", () => {
  const extensions = all.flatMap((language) => language.extensions);
  expect(new Set(extensions).size).toBe(extensions.length);
});
