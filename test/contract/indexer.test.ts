// The index made by the bundled pack's own models and the chunk worker, over a real source tree.
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Vector } from "../../engine/domain.ts";
import { type Chunker, startChunker } from "../../engine/indexing/chunker.ts";
import { createIndexer, type Indexer } from "../../engine/indexing/indexer.ts";
import { startInferThread } from "../../engine/infer/inferThread.ts";
import type { Models } from "../../engine/infer/models.ts";
import { openPack, type Pack, pseudoLengthOf } from "../../engine/pack/pack.ts";
import { Schedule } from "../../engine/schedule.ts";
import { openStore, type Store } from "../../engine/store/store.ts";

const PACK = new URL("../../packs/precis-python-small/", import.meta.url).pathname;
const SOURCES = new URL("../fixtures/workspaces/shop/", import.meta.url).pathname;

let dir: string;
let pack: Pack;
let models: Models;
let chunker: Chunker;
let store: Store;
let indexer: Indexer;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "precis-real-index-"));
  cpSync(SOURCES, join(dir, "root/shop"), { recursive: true });
  pack = await openPack(PACK);
  const { manifest } = pack;
  ({ models } = await startInferThread({
    workerUrl: new URL("../../engine/infer/inferWorker.ts", import.meta.url),
    data: { packDir: pack.dir, providers: ["cpu"], threads: 1 },
    schedule: new Schedule(),
  }));
  chunker = await startChunker({
    workerUrl: new URL("../../engine/indexing/chunkWorker.ts", import.meta.url),
    tokenizerFile: join(pack.dir, manifest.tokenizer.file),
    maxTokens: manifest.chunking.maxTokens,
  });
  ({ store } = openStore({
    dir: join(dir, "store"),
    fingerprint: { chunker: 1, pack: manifest.id },
    vectorDim: manifest.encoder.vectorDim,
    pseudoLength: pseudoLengthOf(manifest),
  }));
  const settings = { "index.exclude": [], "index.maxFileKiB": 1024, "index.maxDiskMiB": 200, "index.otherText": true };
  indexer = createIndexer({
    root: join(dir, "root"),
    store,
    chunker,
    models,
    branching: manifest.fuser.branching,
    settings,
  });
});

afterAll(async () => {
  store.close();
  await Promise.all([models.close(), chunker.close()]);
  rmSync(dir, { recursive: true });
});

function ids(): number[] {
  const paths = [...store.files().keys()];
  const folders = new Set(paths.flatMap((path) => path.split("/").map((_, n, parts) => parts.slice(0, n).join("/"))));
  const fused = [
    ...paths.map((path) => store.nodeAt(path, "file")),
    ...[...folders].map((path) => store.nodeAt(path, path === "" ? "repository" : "directory")),
  ];
  return [...[...store.chunkIdentifiers()].map(({ id }) => id), ...fused.flatMap((node) => node?.id ?? [])];
}

function vectorOf(id: number): Vector {
  return store.vectorOf(id) ?? expect.fail(`node ${id} has no vector`);
}

test("every node has a unit vector and its pseudo-tokens, and a second pass costs nothing", async () => {
  const report = await indexer.index();
  expect(report.chunks).toBeGreaterThan(3);
  expect(report.embedded + report.reused).toBe(report.chunks);
  expect(report.levels.directory).toBeGreaterThan(0);
  expect(report.levels.repository).toBe(1);
  expect(ids()).toHaveLength(report.nodes);
  for (const id of ids()) {
    expect(Math.hypot(...vectorOf(id))).toBeCloseTo(1, 3);
    const tokens = store.pseudoTokens([id]).get(id);
    expect(tokens?.length).toBe(pseudoLengthOf(pack.manifest));
    expect(tokens?.every(Number.isFinite)).toBe(true);
  }
  expect(await indexer.index()).toMatchObject({ embedded: 0, fused: 0, reused: report.chunks });
});

test("a chunk is its own nearest neighbour", async () => {
  for (const { id } of [...store.chunkIdentifiers()].slice(0, 20)) {
    const [nearest] = store.searchVectors(vectorOf(id), 1);
    expect(nearest?.score).toBeCloseTo(1, 4);
    expect(vectorOf(nearest?.id ?? 0)).toEqual(vectorOf(id));
  }
});

test("a file taken in alone gets the vectors it got among others", async () => {
  const path = [...store.chunkIdentifiers()].at(-1)?.path ?? expect.fail("no chunks");
  const vectors = () =>
    [...store.chunkIdentifiers()].filter((chunk) => chunk.path === path).map(({ id }) => vectorOf(id));
  const before = vectors();
  await indexer.update({ changed: [], removed: [path] });
  store.tidy(0);
  const text = readFileSync(join(dir, "root", path), "utf8");
  expect((await indexer.update({ changed: [{ path, text }], removed: [] })).embedded).toBe(before.length);
  expect(vectors()).toEqual(before);
});

test("a renamed folder embeds nothing", async () => {
  renameSync(join(dir, "root/shop"), join(dir, "root/renamed"));
  expect(await indexer.index()).toMatchObject({ embedded: 0 });
  expect(store.nodeAt("renamed", "directory")).toBeDefined();
});
