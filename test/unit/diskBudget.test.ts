// The index keeps within its budget: coarser numbers first, then fewer files, and back again.
import { mkdtempSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Vector } from "../../engine/domain.ts";
import { DiskBudget } from "../../engine/indexing/diskBudget.ts";
import type { ChunkWrite } from "../../engine/store/records.ts";
import { openStore, type Store } from "../../engine/store/store.ts";
import { type Bench, functions, openBench } from "./indexing.ts";

const DIM = 256;
const PSEUDO = 1024;
const FILES = 60;
const PER_FILE = 10;

let dir: string;
let store: Store;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "precis-budget-"));
  store = openHere();
  for (let file = 0; file < FILES; file += 1) fill(file);
});

afterEach(() => {
  store.close();
  rmSync(dir, { recursive: true, force: true });
});

function openHere(): Store {
  return openStore({ dir, fingerprint: { chunker: 1, pack: "test" }, vectorDim: DIM, pseudoLength: PSEUDO }).store;
}

function numbersOf(seed: number, length: number): Vector {
  const numbers = Float32Array.from({ length }, (_, n) => Math.sin(seed * 12.9898 + n * 78.233) * 43758.5453);
  const centred = numbers.map((number) => number - Math.floor(number) - 0.5);
  const size = Math.hypot(...centred);
  return centred.map((number) => number / size);
}

function fill(file: number): void {
  const chunks = Array.from({ length: PER_FILE }, (_, n): ChunkWrite => {
    const seed = file * PER_FILE + n;
    const text = `value_${seed} = compute_${seed % 7}(${seed})`;
    const features = {
      kind: "text",
      qualifiedName: "",
      signature: "",
      defines: [],
      references: [],
      imports: [],
      linearised: "",
    };
    return {
      chunk: { start: n * 40, end: n * 40 + 39, startLine: n + 1, endLine: n + 1, text, tokens: 9, features },
      hash: `hash ${seed}`,
      isFresh: true,
      vector: numbersOf(seed, DIM),
      pseudoTokens: numbersOf(seed, PSEUDO),
    };
  });
  const path = `f${String(file).padStart(2, "0")}.py`;
  store.replaceFile({ path, hash: path, size: 1, mtimeMs: 1000 - file }, chunks);
}

function near(): number[] {
  return Array.from({ length: 30 }, (_, n) => n).flatMap((n) => {
    const query = numbersOf(n * 20, DIM).map((number, at) => number + 0.5 * (numbersOf(n * 20 + 1, DIM)[at] ?? 0));
    return store.searchVectors(query, 2).map(({ id }) => id);
  });
}

function cosine(a: Vector, b: Vector): number {
  return a.reduce((sum, number, n) => sum + number * (b[n] ?? 0), 0) / Math.hypot(...a) / Math.hypot(...b);
}

describe("coarser steps", () => {
  test("each takes fewer bytes, finds the same, and outlives a reopening", () => {
    const found = near();
    let before = store.room.usedBytes;
    for (const [step, least] of [
      [1, 0.9999],
      [2, 0.9999],
      [3, 0.75],
    ] as const) {
      store.room.takeCoarserStep();
      store.room.convert(0, store.room.highestId);
      expect(store.room.usedBytes).toBeLessThan(before);
      before = store.room.usedBytes;
      store.close();
      store = openHere();
      expect(store.room.step).toBe(step);
      for (const seed of [0, 7, 599]) {
        const [id = 0] = [...store.chunkIdentifiers()].slice(seed).map((chunk) => chunk.id);
        expect(cosine(store.vectorOf(id) ?? new Float32Array(DIM), numbersOf(seed, DIM))).toBeGreaterThan(least);
        const rows = store.pseudoTokens([id]).get(id) ?? new Float32Array();
        expect(rows).toHaveLength(PSEUDO);
        expect(cosine(rows, numbersOf(seed, PSEUDO))).toBeGreaterThan(0.9999);
      }
      // Signs alone may confuse two of the farther ones.
      const same = near().filter((id, n) => id === found[n]).length;
      expect(same / found.length).toBeGreaterThanOrEqual(step === 3 ? 0.9 : 1);
    }
  });

  test("rows of two precisions are searched together, as a crash may leave them", () => {
    const found = near();
    for (const upTo of [200, 400, 300]) {
      store.room.takeCoarserStep();
      store.room.convert(0, upTo);
    }
    expect(near()).toEqual(found);
  });

  test("a vector kept too coarsely for the step in force is not known, so that it is made anew", () => {
    expect(store.knownChunks(["hash 5"]).size).toBe(1);
    store.room.takeCoarserStep();
    store.room.takeCoarserStep();
    expect(store.knownChunks(["hash 5"]).size).toBe(1);
    store.room.convert(0, store.room.highestId);
    expect(store.knownChunks(["hash 5"]).size).toBe(1);
    store.room.takeStep(0);
    expect(store.knownChunks(["hash 5"]).size).toBe(0);
  });
});

describe("the budget", () => {
  test("coarsens no further than it must, then drops what was untouched longest", async () => {
    const whole = store.room.usedBytes / 2 ** 20;
    const first = new DiskBudget(store, whole - 0.2);
    await first.tighten();
    await first.drop();
    expect([store.room.step, store.room.droppedFiles]).toEqual([1, 0]);
    const tight = store.room.usedBytes / 2 ** 20 / 4;
    const second = new DiskBudget(store, tight);
    await second.tighten();
    await second.drop();
    expect(store.room.step).toBe(3);
    expect(store.room.usedBytes / 2 ** 20).toBeLessThanOrEqual(tight);
    const dropped = store.room.droppedFiles;
    expect(dropped).toBeGreaterThan(0);
    expect(store.stats()).toMatchObject({ files: FILES, droppedFiles: dropped, chunks: (FILES - dropped) * PER_FILE });
    // The files' times fall with their numbers.
    expect(store.nodeAt("f59.py", "chunk")).toBeUndefined();
    expect(store.nodeAt("f00.py", "chunk")).toBeDefined();
    expect(second.problems()).toMatchObject([{ code: "FILES_DROPPED" }]);
    expect(near().length).toBeGreaterThan(0);
    new DiskBudget(store, 200).relax();
    expect([store.room.step, store.room.droppedFiles, store.stats().files]).toEqual([0, 0, FILES - dropped]);
  });

  test("goes on with what was cut off, and does nothing twice", async () => {
    const budget = new DiskBudget(store, store.room.usedBytes / 2 ** 20 - 0.2);
    await expect(budget.tighten(AbortSignal.abort(new Error("off")))).rejects.toThrow("off");
    await new DiskBudget(store, 200).tighten();
    const bytes = store.room.usedBytes;
    await new DiskBudget(store, 200).tighten();
    expect([store.room.step, store.room.usedBytes]).toEqual([1, bytes]);
  });
});

describe("an index", () => {
  let bench: Bench | undefined;
  afterEach(() => bench?.close());

  test("drops, says so, leaves dropped files alone, and takes a changed one back", async () => {
    const files = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`m${n}.py`, functions(40, `m${n}`)]));
    bench = await openBench(files, { maxDiskMiB: 1 });
    for (let n = 0; n < 40; n += 1) utimesSync(join(bench.root, `m${n}.py`), 1000 + n, 1000 + n);
    const report = await bench.indexer.index();
    expect(report.droppedFiles).toBeGreaterThan(0);
    expect(report.problems.map(({ code }) => code)).toContain("FILES_DROPPED");
    expect(report.skipped).toEqual({ "no-room": report.droppedFiles });
    expect(report.skippedFiles[0]).toEqual({ path: "m0.py", reason: "no-room" });
    expect(bench.store.nodeAt("m0.py", "chunk")).toBeUndefined();
    expect(bench.store.nodeAt("m39.py", "chunk")).toBeDefined();
    bench.models.encoded.length = 0;
    expect(await bench.indexer.index()).toMatchObject({ embedded: 0, droppedFiles: report.droppedFiles });
    await bench.indexer.update({ changed: [{ path: "m0.py", text: functions(2, "back") }], removed: [] });
    expect(bench.store.nodeAt("m0.py", "chunk")).toBeDefined();
  });
});
