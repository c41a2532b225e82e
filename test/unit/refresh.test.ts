// Changes on the disk taken in by their paths alone.
import { mkdirSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { needsPass } from "../../engine/indexing/indexer.ts";
import { type Bench, contents, functions, openBench, TREE } from "./indexing.ts";

const open: Bench[] = [];

afterEach(() => {
  for (const bench of open.splice(0)) bench.close();
});

async function indexed(files: Record<string, string> = TREE): Promise<Bench> {
  const bench = await openBench(files);
  open.push(bench);
  await bench.indexer.index();
  bench.models.encoded.length = 0;
  return bench;
}

async function expectAsFromNothing(bench: Bench): Promise<void> {
  const held = contents(bench.store);
  await bench.indexer.index({ force: true });
  expect(held).toEqual(contents(bench.store));
}

test("a saved file costs its new chunks and the way to the root", async () => {
  const bench = await indexed();
  bench.write({ "pkg/deep/three.py": `${functions(12, "three")}\n\n\n${functions(1, "added")}` });
  expect(await bench.indexer.refresh(["pkg/deep/three.py"])).toMatchObject({ embedded: 1, fused: 4 });
  expect(bench.models.encoded).toHaveLength(1);
  await expectAsFromNothing(bench);
});

test("a path that did not change costs nothing", async () => {
  const { indexer } = await indexed();
  expect(await indexer.refresh(["main.py", "pkg", "nowhere.py"])).toEqual({ embedded: 0, reused: 0, fused: 0 });
});

test("a new folder, a removed folder and a removed file", async () => {
  const bench = await indexed();
  bench.write({ "new/a/b.py": functions(2, "b"), "new/c.py": functions(1, "c") });
  rmSync(join(bench.root, "pkg/deep"), { recursive: true });
  rmSync(join(bench.root, "main.py"));
  await bench.indexer.refresh(["new", "pkg/deep", "main.py"]);
  expect([...bench.store.files().keys()]).toEqual(["new/a/b.py", "new/c.py", "pkg/__init__.py", "pkg/one.py"]);
  await expectAsFromNothing(bench);
});

test.each([
  ["in one look", [["pkg", "moved/here"]]],
  ["in two, the old one first", [["pkg"], ["moved/here"]]],
  ["file by file", [["moved/here/one.py", "pkg/one.py"], ["pkg"], ["moved"]]],
])("a moved folder embeds nothing, told %s", async (_name, looks) => {
  const bench = await indexed();
  mkdirSync(dirname(join(bench.root, "moved/here")), { recursive: true });
  renameSync(join(bench.root, "pkg"), join(bench.root, "moved/here"));
  for (const paths of looks) await bench.indexer.refresh(paths);
  expect(bench.models.encoded).toEqual([]);
  expect(bench.store.nodeAt("pkg", "directory")).toBeUndefined();
  expect(bench.store.nodeAt("moved/here/deep", "directory")).toBeDefined();
  await expectAsFromNothing(bench);
});

test("what the rules leave out stays out, and goes when it was in", async () => {
  const bench = await indexed();
  bench.write({ "node_modules/x/y.py": "y = 1\n", ".gitignore": "pkg/deep\n", "pkg/deep/two.py": "z = 1\n" });
  await bench.indexer.refresh(["node_modules/x/y.py", "node_modules", "pkg/deep/two.py"]);
  expect(bench.store.file("node_modules/x/y.py")).toBeUndefined();
  expect(bench.store.file("pkg/deep/two.py")).toBeUndefined();
});

test("links are not followed, neither at the path nor on the way to it", async () => {
  const bench = await indexed();
  symlinkSync(join(bench.root, "pkg"), join(bench.root, "link"));
  await bench.indexer.refresh(["link", "link/one.py"]);
  expect(bench.store.filesAt("link")).toEqual([]);
});

test("unsaved text counts until the disk's text is asked for again", async () => {
  const bench = await indexed();
  await bench.indexer.update({ changed: [{ path: "main.py", text: "typed = 1\n" }], removed: [] });
  expect(bench.store.nodeAt("main.py", "chunk")?.text).toBe("typed = 1");
  await bench.indexer.refresh(["main.py"]);
  expect(bench.store.nodeAt("main.py", "chunk")?.text).toContain("def main_0");
  await expectAsFromNothing(bench);
});

test.each([
  [["a/.gitignore"], true],
  [[".precisignore", "a.py"], true],
  [["a.py", "b/gitignore"], false],
  [Array.from({ length: 1001 }, (_, n) => `${n}.py`), true],
])("%# a whole pass is needed after ignore files and floods", (paths, isNeeded) => {
  expect(needsPass(paths)).toBe(isNeeded);
});
