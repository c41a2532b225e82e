// Names that say nothing, and words the vocabulary gives up for others, in the names of files and types.
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { describe, expect, test } from "vitest";
import { trackedFiles } from "./trackedFiles.ts";

/** They fit anything, so they tell nothing. */
const EMPTY = ["util", "helper", "manager", "service", "handler", "common", "misc", "data", "info", "base"];

/** Each stands for a word of ours: span, chunk, node, level, vector, pack, candidate. */
const GIVEN_UP = ["location", "snippet", "item", "entry", "depth", "embedding", "bundle", "hit"];

/** `startInferThread2.test.ts` -> start, infer, thread, test; plurals count as their singular. */
function wordsOf(name: string): string[] {
  return name
    .split(/[^A-Za-z]+|(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/)
    .map((word) => word.toLowerCase())
    .flatMap((word) => [word, word.replace(/ies$/, "y"), word.replace(/s$/, "")]);
}

function faultsIn(name: string, banned: readonly string[]): string[] {
  const words = wordsOf(name);
  return banned.filter((word) => words.includes(word)).map((word) => `${name}: ${word}`);
}

/** A declaration, not a name in a list of imports. */
const TYPE =
  /^\s*(?:export )?(?:declare )?(?:abstract )?(?:interface|class|type|enum) ([A-Za-z_]\w*)(?= *(?:[<={:(]|extends\b|implements\b))/gm;

function typesIn(text: string): string[] {
  return [...text.matchAll(TYPE)].map(([, name = ""]) => name);
}

const OWN = /^(engine|extension|training|scripts|bench|test)\/(?!fixtures\/).*\.(ts|mjs|py)$/;

test("files have telling names", () => {
  const files = trackedFiles(OWN);
  expect(files.length).toBeGreaterThan(30);
  expect(files.flatMap((file) => faultsIn(basename(file), EMPTY).map((fault) => `${file}: ${fault}`))).toEqual([]);
});

test("types have telling names", () => {
  const faults = trackedFiles(OWN).flatMap((file) =>
    typesIn(readFileSync(file, "utf8")).flatMap((name) => faultsIn(name, EMPTY).map((fault) => `${file}: ${fault}`)),
  );
  expect(faults).toEqual([]);
});

test("the engine's files and types use the vocabulary", () => {
  const faults = trackedFiles(/^engine\/.*\.ts$/).flatMap((file) =>
    [basename(file), ...typesIn(readFileSync(file, "utf8"))].flatMap((name) =>
      faultsIn(name, GIVEN_UP).map((fault) => `${file}: ${fault}`),
    ),
  );
  expect(faults).toEqual([]);
});

describe("the rule sees", () => {
  test.each(["utils.ts", "stringHelper.ts", "data_common.py", "DataManager", "HTTPServiceX", "BaseStore", "info2.ts"])(
    "%s",
    (name) => {
      expect(faultsIn(name, EMPTY)).not.toEqual([]);
    },
  );

  test.each(["database.ts", "metadata.ts", "basement.py", "Formatter", "informed.ts", "utilise.ts"])(
    "nothing wrong with %s",
    (name) => {
      expect(faultsIn(name, EMPTY)).toEqual([]);
    },
  );

  test("types where they are declared", () => {
    const text =
      "export interface Foo {}\nclass BarBaz extends Foo {}\nexport type Qux<T> = T;\n// class Comment\nconst type = 1;\nclass Py:\nimport {\n  type Odd,\n}";
    expect(typesIn(text)).toEqual(["Foo", "BarBaz", "Qux", "Py"]);
  });
});
