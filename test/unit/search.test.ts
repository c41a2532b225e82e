// The searches of a store against plain ones over the same chunks: large enough that every shortcut is taken.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ChunkWrite } from "../../engine/store/records.ts";
import { openStore, type Store } from "../../engine/store/store.ts";
import { EXACT_NODES } from "../../engine/store/vectors.ts";
import { namesIn } from "../../engine/store/words.ts";

const DIM = 64;
const CHUNKS = 6000;
const PER_FILE = 20;

let dir: string;
let store: Store;
/** Text by path, in the order of the chunks. */
const texts = new Map<string, string[]>();

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "precis-search-"));
  store = openHere();
  for (let file = 0; file < CHUNKS / PER_FILE; file += 1) fill(`pkg/f${file}.py`, file);
});

afterAll(() => {
  store.close();
  rmSync(dir, { recursive: true, force: true });
});

function openHere(readOnly = false): Store {
  const fingerprint = { chunker: 1, pack: "test" };
  return openStore({ dir, fingerprint, vectorDim: DIM, pseudoLength: 1, readOnly }).store;
}

function randomOf(seed: number): () => number {
  let state = seed + 1;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Names by Zipf's law: the first are in nearly every chunk, most in one or two; two differ in case alone. */
function textOf(seed: number): string {
  const random = randomOf(seed);
  const names = Array.from({ length: 8 + (seed % 17) }, () => `name_${Math.floor(3000 ** random())}`);
  return ["self_like", ...names, seed % 3 === 0 ? "Ünïcode" : "Shelf", seed % 5 === 0 ? "shelf" : "SHELF"].join(" + ");
}

/** Twenty directions, with noise. */
function vectorOf(seed: number): Float32Array {
  const centre = randomOf(seed % 20);
  const noise = randomOf(seed + 1000);
  return Float32Array.from({ length: DIM }, () => centre() - 0.5 + 0.6 * (noise() - 0.5));
}

function writesOf(contents: readonly string[], seed: number): ChunkWrite[] {
  return contents.map((text, n) => ({
    chunk: {
      start: n * 10,
      end: n * 10 + 9,
      startLine: n + 1,
      endLine: n + 1,
      text,
      tokens: 9,
      features: {
        kind: "text",
        qualifiedName: "",
        signature: "",
        defines: [],
        references: [],
        imports: [],
        linearised: "",
      },
    },
    hash: `${seed} ${n} ${text}`,
    isFresh: true,
    vector: vectorOf(seed * PER_FILE + n),
    pseudoTokens: new Float32Array(1),
  }));
}

function fill(path: string, seed: number): void {
  const contents = Array.from({ length: PER_FILE }, (_, n) => textOf(seed * PER_FILE + n));
  texts.set(path, contents);
  store.replaceFile({ path, hash: `${seed}`, size: 1, mtimeMs: 1 }, writesOf(contents, seed));
}

/** Jaccard of every chunk, best first. */
function overlapsOf(wanted: readonly string[], exceptPath = ""): { id: number; score: number }[] {
  const found: { id: number; score: number }[] = [];
  for (const { id, path } of store.chunkIdentifiers()) {
    const [node] = store.nodes([id]);
    const names = new Set(namesIn(node?.text ?? ""));
    const shared = wanted.filter((name) => names.has(name)).length;
    const score = shared / (wanted.length + names.size - shared);
    if (shared > 0 && path !== exceptPath) found.push({ id, score });
  }
  return found.sort((a, b) => b.score - a.score || a.id - b.id);
}

describe("identifiers", () => {
  const QUERIES = [1, 77, 1234, 4321, 5999].map((seed) => namesIn(`${textOf(seed)} ${textOf(seed + 7)} never_seen`));

  test.each([1, 10, 64])("the best %i are those of a plain search, scores and order", (k) => {
    for (const wanted of QUERIES) expect(store.searchIdentifiers(wanted, k)).toEqual(overlapsOf(wanted).slice(0, k));
  });

  test("so they are by lists already in memory, without one file, and for common names alone", () => {
    for (const wanted of [...QUERIES, ["self_like"], ["self_like", "name_1"], ["shelf"], ["Ünïcode", "SHELF"]]) {
      const exceptPath = "pkg/f17.py";
      const found = store.searchIdentifiers(wanted, 32, { exceptPath });
      expect(found).toEqual(overlapsOf(wanted, exceptPath).slice(0, 32));
    }
  });

  test("after changes, here and in a process that reads along", () => {
    const along = openHere(true);
    const wanted = namesIn(`${textOf(40)} ${textOf(2)} self_like`);
    expect(along.searchIdentifiers(wanted, 20)).toEqual(overlapsOf(wanted).slice(0, 20));
    fill("pkg/f2.py", 900);
    store.removeFile("pkg/f3.py");
    fill("pkg/f4.py", 4);
    const now = overlapsOf(wanted).slice(0, 20);
    expect(store.searchIdentifiers(wanted, 20)).toEqual(now);
    expect(along.searchIdentifiers(wanted, 20)).toEqual(now);
    // More changes than the log keeps.
    for (let file = 0; file < 240; file += 1) fill(`pkg/f${file}.py`, file + 2000);
    store.tidy(0);
    const later = overlapsOf(wanted).slice(0, 20);
    expect(store.searchIdentifiers(wanted, 20)).toEqual(later);
    expect(along.searchIdentifiers(wanted, 20)).toEqual(later);
    along.close();
  });

  test("nothing for nothing, and any number of names", () => {
    expect(store.searchIdentifiers([], 5)).toEqual([]);
    expect(store.searchIdentifiers(["self_like"], 0)).toEqual([]);
    expect(store.searchIdentifiers(["not_here_at_all"], 5)).toEqual([]);
    const many = Array.from({ length: 10_000 }, (_, n) => `name_${n}`);
    expect(store.searchIdentifiers(many, 5)).toEqual(overlapsOf(many).slice(0, 5));
    expect(store.searchIdentifiers(["self_like"], 3, { exceptPath: `o'brien "x" \\ %.py` })).toHaveLength(3);
  });
});

describe("vectors", () => {
  test("the signs choose nearly all of the nearest", () => {
    expect(store.stats().nodes).toBeGreaterThan(EXACT_NODES);
    let met = 0;
    for (let seed = 0; seed < 40; seed += 1) {
      const query = vectorOf(seed * 31);
      const exact = new Set(store.searchVectorsExactly(query, 32).map(({ id }) => id));
      met += store.searchVectors(query, 32).filter(({ id }) => exact.has(id)).length;
    }
    expect(met / (40 * 32)).toBeGreaterThan(0.9);
  });

  test("levels and one file are left out", () => {
    const query = vectorOf(5);
    expect(store.searchVectors(query, 5, { levels: ["directory"] })).toEqual([]);
    const found = store.searchVectors(query, 200, { levels: ["chunk"], exceptPath: "pkg/f250.py" });
    expect(found).toHaveLength(200);
    expect(store.nodes(found.map(({ id }) => id)).every(({ path }) => path !== "pkg/f250.py")).toBe(true);
  });

  test("a vector without direction finds nothing and is found by nobody before the others", () => {
    for (const value of [0, Number.NaN, Number.POSITIVE_INFINITY])
      expect(store.searchVectors(new Float32Array(DIM).fill(value), 5)).toEqual([]);
    const odd = [0, Number.NaN].map((value, n) => ({
      ...(writesOf([`odd_${n}`], 7000)[0] as ChunkWrite),
      hash: `odd ${n}`,
      vector: new Float32Array(DIM).fill(value),
    }));
    store.replaceFile({ path: "odd.py", hash: "odd", size: 1, mtimeMs: 1 }, odd);
    const found = store.searchVectors(vectorOf(3), 50);
    expect(found).toHaveLength(50);
    expect(found.every(({ score }) => Number.isFinite(score) && score > 0)).toBe(true);
    store.removeFile("odd.py");
  });
});

describe("words", () => {
  test("rare words find their chunks however common the others are", () => {
    store.replaceFile(
      { path: "rare.py", hash: "rare", size: 1, mtimeMs: 1 },
      writesOf(["def needleInHaystack(self_like, name_1): return name_2"], 8000),
    );
    const [best] = store.searchText(["self_like", "name_1", "name_2", "needle_other"], 5);
    expect(store.nodes([best?.id ?? 0])[0]?.path).toBe("rare.py");
    expect(store.searchText(["needle"], 5, { exceptPath: "rare.py" })).toEqual([]);
    expect(store.searchText(["self_like"], 5)).toHaveLength(5);
    store.removeFile("rare.py");
  });
});

test("what is read slice by slice is what is read at once", async () => {
  const along = openHere(true);
  await along.warm();
  const query = vectorOf(11);
  expect(along.searchVectors(query, 40)).toEqual(store.searchVectors(query, 40));
  along.close();
});
