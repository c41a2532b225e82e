import { afterEach, describe, expect, test } from "vitest";
import { type Bench, type BenchOptions, contents, functions, openBench, TREE } from "./indexing.ts";

const open: Bench[] = [];

afterEach(() => {
  for (const bench of open.splice(0)) bench.close();
});

async function bench(files: Record<string, string>, options?: BenchOptions): Promise<Bench> {
  const opened = await openBench(files, options);
  open.push(opened);
  return opened;
}

describe("an update", () => {
  test("takes in a text the disk does not have, and gives it back to the disk's at the next pass", async () => {
    const { indexer, store, models } = await bench(TREE);
    await indexer.index();
    const before = contents(store);
    const path = "pkg/one.py";
    const text = `${functions(5, "one")}\n\n\n${functions(1, "unsaved")}`;
    expect(await indexer.update({ changed: [{ path, text }], removed: [] })).toEqual({
      embedded: 1,
      reused: 5,
      fused: 3,
    });
    expect(store.searchText(["unsaved_0"], 1)).toHaveLength(1);
    models.encoded.length = 0;
    expect(await indexer.update({ changed: [{ path, text }], removed: [] })).toEqual({
      embedded: 0,
      reused: 0,
      fused: 0,
    });
    await indexer.index();
    expect(models.encoded).toEqual([]);
    expect(contents(store)).toEqual(before);
  });

  test("removes a file, or a folder with all it held, and nothing of a like name", async () => {
    const { indexer, store } = await bench({ ...TREE, "pkg2/x.py": functions(1), "pkg.py": functions(1, "g") });
    await indexer.index();
    await indexer.update({ changed: [], removed: ["main.py"] });
    expect(store.nodeAt("main.py", "file")).toBeUndefined();
    await indexer.update({ changed: [], removed: ["pkg", "never/was.py"] });
    expect([...store.files().keys()]).toEqual(["pkg.py", "pkg2/x.py"]);
    expect(store.nodeAt("pkg", "directory")).toBeUndefined();
  });

  test("fuses one group a round in a folder of many files", async () => {
    const files = Object.fromEntries(Array.from({ length: 27 }, (_, n) => [`f${n + 10}.py`, functions(1, `m${n}`)]));
    const { indexer, models } = await bench(files);
    await indexer.index();
    models.groupSizes.length = 0;
    await indexer.update({ changed: [{ path: "f20.py", text: functions(1, "other") }], removed: [] });
    // One group for the file, then 27 -> 9 -> 3 -> 1.
    expect(models.groupSizes).toEqual([1, 3, 3, 3]);
  });

  test("leaves out what a scan would leave out, and drops what became so", async () => {
    const { indexer, store } = await bench(
      { ".gitignore": "build/\n", "a.py": "x = 1\n" },
      { exclude: ["*_pb2.py"], maxFileKiB: 1 },
    );
    await indexer.index();
    const key = "AKIA" + "ABCDEFGHIJKLMNOP";
    const changed = [
      { path: "build/b.py", text: "x = 1\n" },
      { path: "node_modules/b.py", text: "x = 1\n" },
      { path: "c_pb2.py", text: "x = 1\n" },
      { path: "d.csv", text: "x = 1\n" },
      { path: "e.py", text: `key = "${key}"\n` },
      { path: "f.py", text: "x = 1\n".repeat(1000) },
      { path: "a.py", text: `key = "${key}"\n` },
    ];
    await indexer.update({ changed, removed: [] });
    expect(store.stats().files).toBe(0);
  });

  test("waits for a pass that is running", async () => {
    const { indexer, store } = await bench(TREE);
    const pass = indexer.index();
    const update = indexer.update({ changed: [{ path: "main.py", text: functions(1, "late") }], removed: [] });
    await Promise.all([pass, update]);
    expect(store.searchText(["late_0"], 1)).toHaveLength(1);
  });
});
