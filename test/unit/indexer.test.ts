import { readdirSync, readFileSync, renameSync, rmSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import type { Level, Vector } from "../../engine/domain.ts";
import type { Chunker } from "../../engine/indexing/chunker.ts";
import { createIndexer, type IndexProgress } from "../../engine/indexing/indexer.ts";
import type { Store } from "../../engine/store/store.ts";
import {
  type Bench,
  type BenchOptions,
  BRANCHING,
  contents,
  directChunker,
  functions,
  fuseGroup,
  openBench,
  openStoreIn,
  TREE,
  vectorOfText,
} from "./indexing.ts";

const open: Bench[] = [];

afterEach(() => {
  for (const bench of open.splice(0)) bench.close();
});

async function bench(files: Record<string, string>, options?: BenchOptions): Promise<Bench> {
  const opened = await openBench(files, options);
  open.push(opened);
  return opened;
}

function vectorAt(store: Store, path: string, level: Level): Vector {
  const node = store.nodeAt(path, level);
  const vector = node === undefined ? undefined : store.vectorOf(node.id);
  if (vector === undefined) throw new Error(`no ${level} node at "${path}"`);
  return vector;
}

/** The paper's rounds, written down once more and plainly. */
function fusedByHand(children: readonly Vector[]): Vector {
  let level = [...children];
  do {
    const next: Vector[] = [];
    for (let at = 0; at < level.length; at += BRANCHING) next.push(fuseGroup(level.slice(at, at + BRANCHING)));
    level = next;
  } while (level.length > 1);
  const [top] = level;
  if (top === undefined) throw new Error("no children");
  return top;
}

describe("a first pass", () => {
  test("reports files, levels and what it cost", async () => {
    const { indexer, models } = await bench(TREE);
    const report = await indexer.index();
    expect(report).toMatchObject({
      files: 5,
      chunks: 20,
      nodes: 27,
      levels: { chunk: 20, file: 4, directory: 2, repository: 1 },
      reused: 0,
      embedded: 20,
      fused: 7,
      skipped: {},
      problems: [],
    });
    expect(Object.keys(report).sort()).toEqual([
      "chunks",
      "dbBytes",
      "droppedFiles",
      "embedded",
      "files",
      "fused",
      "levels",
      "nodes",
      "problems",
      "reused",
      "seconds",
      "skipped",
      "skippedFiles",
    ]);
    expect(new Set(models.encoded).size).toBe(20);
    expect(models.encoded).toContain("# two_0\ndef two_0(a, b, c):\n    return a + b * c - 0 + two");
    expect(Math.max(...models.groupSizes)).toBe(BRANCHING);
  });

  test("fuses in rounds of at most the branching, files and folders in the order of their paths", async () => {
    const { indexer, store } = await bench(TREE);
    await indexer.index();
    const chunks = (n: number, tag: string) =>
      Array.from({ length: n }, (_, i) =>
        vectorOfText(`# ${tag}_${i}\ndef ${tag}_${i}(a, b, c):\n    return a + b * c - ${i} + ${tag}`),
      );
    const three = fusedByHand(chunks(12, "three"));
    const deep = fusedByHand([three, fusedByHand(chunks(1, "two"))]);
    const pkg = fusedByHand([deep, fusedByHand(chunks(5, "one"))]);
    expect(vectorAt(store, "pkg/deep/three.py", "file")).toEqual(three);
    expect(vectorAt(store, "pkg/deep", "directory")).toEqual(deep);
    expect(vectorAt(store, "pkg", "directory")).toEqual(pkg);
    expect(vectorAt(store, "", "repository")).toEqual(fusedByHand([fusedByHand(chunks(2, "main")), pkg]));
  });

  test("every node has its pseudo-tokens", async () => {
    const { indexer, store } = await bench(TREE);
    await indexer.index();
    for (const [path, level] of [
      ["main.py", "chunk"],
      ["main.py", "file"],
      ["pkg", "directory"],
      ["", "repository"],
    ] as const) {
      const node = store.nodeAt(path, level);
      const tokens = store.pseudoTokens([node?.id ?? 0]).get(node?.id ?? 0);
      expect(tokens).toEqual(
        vectorAt(store, path, level)
          .slice(0, 4)
          .map((number) => 2 * number),
      );
    }
  });

  test("tells how far it is", async () => {
    const { indexer } = await bench(TREE);
    const seen: IndexProgress[] = [];
    await indexer.index({ onProgress: (progress) => seen.push(progress) });
    expect(seen[0]).toMatchObject({ filesDone: 0, filesTotal: 5, currentPath: "" });
    expect(seen[1]).toMatchObject({ filesDone: 1, filesTotal: 5, currentPath: "main.py" });
    expect(seen.at(-1)).toMatchObject({ filesDone: 5, filesTotal: 5, currentPath: "", secondsLeft: 0 });
    expect(seen.map(({ filesDone }) => filesDone)).toEqual([0, 1, 2, 3, 4, 5, 5]);
  });

  test("a text that comes twice is read once", async () => {
    const { indexer, models } = await bench({ "a.py": functions(3), "b/c.py": functions(3) });
    const report = await indexer.index();
    expect(models.encoded).toHaveLength(3);
    expect(report).toMatchObject({ chunks: 6, embedded: 3, reused: 3 });
  });

  test.each([
    ["an empty folder", {}],
    ["a folder of pictures", { "logo.png": "PNG", "a/b.jpg": "JPG" }],
  ])("%s gives an empty index", async (_name, files) => {
    const { indexer, store } = await bench(files);
    const report = await indexer.index();
    expect(report).toMatchObject({ files: 0, chunks: 0, nodes: 0, embedded: 0, fused: 0 });
    expect(report.skipped["binary"] ?? 0).toBe(Object.keys(files).length);
    expect(store.nodeAt("", "repository")).toBeUndefined();
  });
});

describe("a second pass", () => {
  async function indexed(files: Record<string, string> = TREE) {
    const opened = await bench(files);
    await opened.indexer.index();
    opened.models.encoded.length = 0;
    opened.models.groupSizes.length = 0;
    return opened;
  }

  test("costs nothing when nothing changed", async () => {
    const { indexer, models, store } = await indexed();
    const before = store.generation;
    const report = await indexer.index();
    expect(report).toMatchObject({ files: 5, chunks: 20, nodes: 27, reused: 20, embedded: 0, fused: 0 });
    expect(models.encoded).toEqual([]);
    expect(models.groupSizes).toEqual([]);
    const tidied = store.generation;
    expect(tidied - before).toBeLessThanOrEqual(1);
  });

  test("reads, but does not embed, a file with another time and the same text", async () => {
    const { indexer, root, store } = await indexed();
    utimesSync(join(root, "main.py"), 1000, 1000);
    expect(await indexer.index()).toMatchObject({ embedded: 0, fused: 0 });
    expect(store.files().get("main.py")?.mtimeMs).toBe(1_000_000);
  });

  test("embeds the chunks that are new and fuses the way to the root", async () => {
    const { indexer, models, write } = await indexed();
    write({ "pkg/deep/three.py": `${functions(12, "three")}\n\n\n${functions(1, "added")}` });
    expect(await indexer.index()).toMatchObject({ chunks: 21, embedded: 1, reused: 20, fused: 4 });
    expect(models.encoded).toEqual(["# added_0\ndef added_0(a, b, c):\n    return a + b * c - 0 + added"]);
  });

  test("embeds nothing for a renamed folder", async () => {
    const { indexer, models, root, store } = await indexed();
    renameSync(join(root, "pkg"), join(root, "renamed"));
    expect(await indexer.index()).toMatchObject({
      files: 5,
      chunks: 20,
      embedded: 0,
      reused: 20,
      levels: { directory: 2 },
    });
    expect(models.encoded).toEqual([]);
    expect(store.nodeAt("pkg", "directory")).toBeUndefined();
    expect(store.nodeAt("renamed/deep/two.py", "chunk")).toBeDefined();
  });

  test("embeds nothing for a branch switched away from and back to", async () => {
    const { indexer, models, root, write } = await indexed();
    rmSync(join(root, "pkg"), { recursive: true });
    expect(await indexer.index()).toMatchObject({ files: 1, chunks: 2, levels: { directory: 0 } });
    write(TREE);
    expect(await indexer.index()).toMatchObject({ files: 5, chunks: 20, embedded: 0 });
    expect(models.encoded).toEqual([]);
  });

  test("forgets files that are gone, and everything when all are", async () => {
    const { indexer, root, store } = await indexed();
    for (const name of readdirSync(root)) rmSync(join(root, name), { recursive: true });
    expect(await indexer.index()).toMatchObject({ files: 0, nodes: 0 });
    expect(store.staleFolders()).toEqual([]);
  });

  test("computes everything anew when forced", async () => {
    const { indexer, models, store } = await indexed();
    const before = contents(store);
    expect(await indexer.index({ force: true })).toMatchObject({ embedded: 20, reused: 0, chunks: 20 });
    expect(models.encoded).toHaveLength(20);
    expect(contents(store)).toEqual(before);
  });

  test("agrees with an index made from nothing, whatever happened before", async () => {
    const { indexer, root, write, store } = await indexed();
    let seed = 7;
    const random = (n: number) => {
      seed = (seed * 1103515245 + 12345) % 2 ** 31;
      return seed % n;
    };
    const paths = ["a.py", "main.py", "pkg/one.py", "pkg/deep/two.py", "pkg/deep/x/y/z.py", "other/b.py", "other/c.py"];
    for (let round = 0; round < 25; round++) {
      const path = paths[random(paths.length)] ?? "";
      if (random(3) === 0) rmSync(join(root, path), { force: true });
      else write({ [path]: functions(random(9), `r${random(5)}`) });
      if (random(2) === 0) await indexer.index();
    }
    await indexer.index();
    const files = Object.fromEntries([...store.files().keys()].map((path) => [path, readText(root, path)]));
    const fresh = await bench(files);
    await fresh.indexer.index();
    expect(contents(store)).toEqual(contents(fresh.store));
  });
});

describe("a pass that is cut off", () => {
  test("keeps what it stored, and the next one goes on from there", async () => {
    const files = Object.fromEntries(
      Array.from({ length: 30 }, (_, n) => [`p${n % 4}/f${n}.py`, functions(8, `m${n}`)]),
    );
    const { indexer, models, store } = await bench(files);
    const aborter = new AbortController();
    models.beforeRun = (signal) => {
      if (store.stats().files > 0) aborter.abort(new Error("enough"));
      signal?.throwIfAborted();
    };
    await expect(indexer.index({ signal: aborter.signal })).rejects.toThrow("enough");
    const stored = store.stats().files;
    expect(stored).toBeGreaterThan(0);
    expect(stored).toBeLessThan(30);
    expect(store.staleFolders()).toContain("");
    const before = models.encoded.length;
    expect(await indexer.index()).toMatchObject({
      files: 30,
      chunks: 240,
      levels: { file: 30, directory: 4, repository: 1 },
    });
    expect(models.encoded.length).toBeLessThan(before + 240);
    const fresh = await bench(files);
    await fresh.indexer.index();
    expect(contents(store)).toEqual(contents(fresh.store));
  });

  test("that never began changes nothing", async () => {
    const { indexer, store } = await bench(TREE);
    await expect(indexer.index({ signal: AbortSignal.abort(new Error("no")) })).rejects.toThrow("no");
    expect(store.stats().files).toBe(0);
  });
});

test("an update goes between two batches of a pass, and what the pass read before is not taken for newer", async () => {
  const files = Object.fromEntries(Array.from({ length: 90 }, (_, n) => [`p/f${n}.py`, functions(2, `m${n}`)]));
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>();
  const direct = await directChunker();
  const chunker: Chunker = {
    ...direct,
    chunk: async (file, signal) => {
      if (file.path === "p/f80.py") await held;
      return direct.chunk(file, signal);
    },
  };
  const { indexer, store } = await bench(files, { chunker });
  const pass = indexer.index();
  while (store.stats().files === 0) await new Promise(setImmediate);
  await indexer.update({ changed: [{ path: "p/f89.py", text: "new = 1\n" }], removed: ["p/f88.py"] });
  expect(store.stats().files).toBeLessThan(80);
  expect(store.nodeAt("p/f89.py", "chunk")?.text).toBe("new = 1");
  letGo();
  expect((await pass).files).toBe(89);
  expect(store.nodeAt("p/f89.py", "chunk")?.text).toBe("new = 1");
  expect(store.nodeAt("p/f88.py", "chunk")).toBeUndefined();
  // The next pass goes by the disk again.
  expect((await indexer.index()).files).toBe(90);
});

test("a store that another process writes is left alone", async () => {
  const writer = await bench(TREE);
  await writer.indexer.index();
  const { store } = openStoreIn(writer.storeDir);
  const reader = await bench({ "z.py": "z = 1\n" });
  const settings = { "index.exclude": [], "index.maxFileKiB": 64, "index.maxDiskMiB": 200, "index.otherText": true };
  const indexer = createIndexer({
    root: reader.root,
    store,
    chunker: await directChunker(),
    models: reader.models,
    branching: 2,
    settings,
  });
  expect(await indexer.index()).toMatchObject({ files: 5, chunks: 20, embedded: 0 });
  expect(await indexer.update({ changed: [{ path: "main.py", text: "q = 1\n" }], removed: ["pkg"] })).toEqual({
    embedded: 0,
    reused: 0,
    fused: 0,
  });
  expect(store.stats().files).toBe(5);
  store.close();
});

function readText(root: string, path: string): string {
  return readFileSync(join(root, path), "utf8");
}
