// Notebooks: the code of their cells, and spans that stand for themselves in the file's JSON.
import { expect, test } from "vitest";
import { chunkNotebook } from "../../engine/indexing/chunkNotebook.ts";
import { readNotebook } from "../../engine/indexing/notebook.ts";
import { loadLanguages } from "../../engine/languages/languages.ts";
import { countTokens, openBench } from "./indexing.ts";

const { all } = await loadLanguages();
const languageNamed = (name: string) => all.find((language) => language.name === name);

interface Cell {
  readonly type: "code" | "markdown";
  readonly source: string;
  readonly output?: string;
}

/** As Jupyter writes it: a list of lines for each source, indented by one. */
function notebook(cells: readonly Cell[], metadata: object = { kernelspec: { language: "python" } }): string {
  const raw = cells.map(({ type, source, output }) => ({
    cell_type: type,
    metadata: { source: ["not this"] },
    outputs: output === undefined ? [] : [{ data: { "image/png": output, source: "nor this" } }],
    source: source.split(/(?<=\n)/),
  }));
  return JSON.stringify({ cells: raw, metadata, nbformat: 4, nbformat_minor: 5 }, null, 1);
}

function chunksOf(text: string, maxTokens = 40) {
  return chunkNotebook(text, languageNamed, countTokens, maxTokens);
}

const CELLS: Cell[] = [
  { type: "markdown", source: "# A title with `code`" },
  { type: "code", source: "%matplotlib inline\n!pip install shop\nimport shop" },
  {
    type: "code",
    source: 'def price(item):\n    """In "cents"."""\n    return item["price"] * 2\n',
    output: "iVBORw0KGgo".repeat(9000),
  },
  { type: "code", source: "%%bash\necho 'def no(): pass'\n\nls" },
  {
    type: "code",
    source:
      "%%time\nclass Basket:\n    def add(self, item):\n        self.items = !ls\n        print('\\u2713 ✓', price(item))\n",
  },
  { type: "code", source: "price?" },
];

test("the code of the cells, without prose and outputs", () => {
  const { code, language } = readNotebook(notebook(CELLS));
  expect(language).toBe("python");
  expect(code).toBe(CELLS.flatMap(({ type, source }) => (type === "code" ? [source] : [])).join("\n\n"));
});

test("every character stands where the file has it", () => {
  const text = notebook(CELLS);
  const { code, placeOf } = readNotebook(text);
  for (let offset = code.indexOf("import shop"); offset < code.indexOf("import shop") + 11; offset++) {
    expect(text[placeOf(offset).at]).toBe(code[offset]);
  }
  const { at, width } = placeOf(code.indexOf('"""'));
  expect(text.slice(at, at + width)).toBe('\\"');
});

test("chunks know their definitions, and their spans and lines are the file's", () => {
  const text = notebook(CELLS);
  const { chunks, problems } = chunksOf(text);
  expect(problems).toEqual([]);
  const price = chunks.find(({ features }) => features.qualifiedName === "price");
  expect(price?.text).toContain('return item["price"] * 2');
  expect(text.slice(price?.start, price?.end)).toContain('return item[\\"price\\"] * 2');
  const lines = text.split("\n").slice((price?.startLine ?? 0) - 1, price?.endLine);
  expect(lines.join("\n")).toContain("def price(item):");
  expect(lines.join("\n")).toContain('return item[\\"price\\"] * 2');
  expect(lines).toHaveLength(3);
  expect(chunks.some(({ features }) => features.qualifiedName.startsWith("Basket"))).toBe(true);
  for (const [index, { start, end }] of chunks.entries()) {
    expect(end).toBeGreaterThan(start);
    expect(chunks[index + 1]?.start ?? text.length).toBeGreaterThanOrEqual(end);
  }
});

test("IPython's commands stay in the text and out of the syntax", () => {
  const { chunks } = chunksOf(notebook(CELLS), 400);
  expect(chunks.map(({ text }) => text).join("\n")).toContain("%%bash\necho 'def no(): pass'");
  const defines = chunks.flatMap(({ features }) => features.defines);
  expect(defines).toEqual(expect.arrayContaining(["price", "Basket", "add", "items"]));
  expect(defines).not.toContain("no");
  expect(chunks.flatMap(({ features }) => features.references)).not.toContain("pip");
});

test("a source may be one string, and a kernel of another language has its own grammar or none", () => {
  const cells = [{ cell_type: "code", source: "pub fn area(w: u32) -> u32 {\n    w * w\n}" }];
  const rust = JSON.stringify({ cells, metadata: { language_info: { name: "Rust" } } });
  expect(chunksOf(rust).chunks.map(({ features }) => features.qualifiedName)).toEqual(["area"]);
  const other = JSON.stringify({ cells, metadata: { kernelspec: { language: "R" } } });
  expect(chunksOf(other).chunks.map(({ features }) => features.kind)).toEqual(["text"]);
});

test.each([
  ["cut off", notebook(CELLS).slice(0, 400)],
  ["not JSON", "def f(): pass"],
  ["of an old format", '{"worksheets": [{"cells": []}]}'],
  ["a list", "[]"],
  ["nothing", ""],
])("%s is a named problem and no chunks", (_name, text) => {
  expect(chunksOf(text)).toMatchObject({ chunks: [], problems: [{ code: "NOTEBOOK_BROKEN" }] });
});

test("in the index: larger than other files for its outputs, and left out for a secret in its code alone", async () => {
  const key = "AKIA" + "ABCDEFGHIJKLMNOP";
  const picture = "iVBORw0KGgo".repeat(30_000);
  const bench = await openBench(
    {
      "plot.ipynb": notebook([{ type: "code", source: "def plot(): pass", output: picture }]),
      "shown.ipynb": notebook([{ type: "code", source: "def show(): pass", output: key }]),
      "key.ipynb": notebook([{ type: "code", source: `def key(): return "${key}"` }]),
      "broken.ipynb": "{",
    },
    { maxFileKiB: 64 },
  );
  const report = await bench.indexer.index();
  expect(report.skipped).toEqual({ secret: 1 });
  expect(report.problems.map(({ code, path }) => `${code} ${path}`)).toContain("FILE_SECRET key.ipynb");
  expect(report.problems.map(({ code }) => code)).toContain("NOTEBOOK_BROKEN");
  expect([...bench.store.files().keys()].sort()).toEqual(["broken.ipynb", "plot.ipynb", "shown.ipynb"]);
  bench.close();
});
