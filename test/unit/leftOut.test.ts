// What the index leaves out: gone when it becomes so, counted whole, listed in part.
import { rmSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { type Bench, type BenchOptions, openBench } from "./indexing.ts";

let opened: Bench | undefined;

afterEach(() => opened?.close());

async function bench(files: Record<string, string>, options?: BenchOptions): Promise<Bench> {
  opened = await openBench(files, options);
  return opened;
}

const KEY = ["AKIA", "Z7QRSTUVWXYZ2345"].join("");

test("a secret written into an indexed file removes its chunks with the next pass, and without it they come back", async () => {
  const { indexer, store, write } = await bench({ "a.py": "def open(): pass\n", "b.py": "x = 1\n" });
  await indexer.index();
  write({ "a.py": `def open(): return "${KEY}"\n` });
  const report = await indexer.index();
  expect(report.skippedFiles).toEqual([{ path: "a.py", reason: "secret", detail: "a key or token" }]);
  expect([...store.files().keys()]).toEqual(["b.py"]);
  expect(store.searchText(["open"], 5)).toEqual([]);
  write({ "a.py": "def open(): pass\n" });
  expect(await indexer.index()).toMatchObject({ files: 2, skipped: {} });
});

test("a secret typed into an indexed file removes its chunks before it is saved", async () => {
  const { indexer, store } = await bench({ "a.py": "def open(): pass\n" });
  await indexer.index();
  await indexer.update({ changed: [{ path: "a.py", text: `KEY = "${KEY}"\n` }], removed: [] });
  expect(store.stats()).toMatchObject({ files: 0, chunks: 0 });
});

test("no reason, problem or detail holds the secret itself", async () => {
  const { indexer } = await bench({ "a.py": `KEY = "${KEY}"\n`, "b.py": 'password = "q8Zt3LmWx7Rb2NvKs9Yc4HdF"\n' });
  const report = JSON.stringify(await indexer.index());
  expect(report).toContain("b.py");
  expect(report).not.toContain(KEY);
  expect(report).not.toContain("q8Zt3");
});

test("what was left out for its text is not read again until it changes, and is still reported", async () => {
  const secret = `KEY = "${KEY}"\n`;
  const { indexer, root, store, write } = await bench({ "a.py": secret, "b.py": "x = 1\n" });
  const stamp = (seconds: number) => utimesSync(join(root, "a.py"), seconds, seconds);
  stamp(1000);
  const left = { path: "a.py", reason: "secret", detail: "a key or token" };
  expect((await indexer.index()).skippedFiles).toEqual([left]);
  // Another text of the same size and time: only one who reads can tell.
  write({ "a.py": `${"x".repeat(secret.length - 5)} = 1\n` });
  stamp(1000);
  expect((await indexer.index()).skippedFiles).toEqual([left]);
  stamp(1001);
  expect(await indexer.index()).toMatchObject({ files: 2, skipped: {}, skippedFiles: [] });
  write({ "a.py": secret });
  stamp(1002);
  await indexer.index();
  rmSync(join(root, "a.py"));
  expect(await indexer.index()).toMatchObject({ files: 1, skipped: {} });
  expect(store.leftOut.filesBy(1)).toEqual([]);
});

test("a forced pass reads everything", async () => {
  const { indexer, root, write } = await bench({ "a.py": `KEY = "${KEY}"\n` });
  utimesSync(join(root, "a.py"), 1000, 1000);
  await indexer.index();
  write({ "a.py": "x".repeat(`KEY = "${KEY}"\n`.length) });
  utimesSync(join(root, "a.py"), 1000, 1000);
  expect(await indexer.index({ force: true })).toMatchObject({ files: 1, skipped: {} });
});

test("all are counted, the first hundred of each reason listed", async () => {
  const rows = Object.fromEntries(Array.from({ length: 130 }, (_, n) => [`rows${n}.csv`, "1,2"]));
  const { indexer } = await bench({ ...rows, "vendor/a.py": "x = 1\n", "logo.png": "" });
  const { skipped, skippedFiles } = await indexer.index();
  expect(skipped).toEqual({ data: 130, vendored: 1, binary: 1 });
  expect(skippedFiles.filter(({ reason }) => reason === "data")).toHaveLength(100);
  expect(skippedFiles).toContainEqual({ path: "vendor", reason: "vendored", detail: "by name" });
});

test("text of other kinds is cut at blank lines and indentation, with no syntax", async () => {
  const paragraph = "one two three four five six seven eight nine ten\n";
  const { indexer, store } = await bench({
    "notes.md": `# Title\n\n${paragraph}${paragraph}\n${paragraph}${paragraph}`,
    "tables.sql": "CREATE TABLE shelf (id INTEGER);\n",
    Makefile: "all:\n\tcc main.c\n",
  });
  await indexer.index();
  expect([...store.files().keys()].sort()).toEqual(["Makefile", "notes.md", "tables.sql"]);
  const found = store.nodeAt("tables.sql", "chunk");
  expect(found).toMatchObject({ text: "CREATE TABLE shelf (id INTEGER);", features: { kind: "text" } });
  expect(store.stats().chunks).toBeGreaterThan(3);
});
