// For tests of the index: a workspace on disk, models that are functions of their input, a chunker on this thread.
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Vector } from "../../engine/domain.ts";
import { chunk } from "../../engine/indexing/chunk.ts";
import type { Chunker } from "../../engine/indexing/chunker.ts";
import { chunkNotebook } from "../../engine/indexing/chunkNotebook.ts";
import { createIndexer, type Indexer } from "../../engine/indexing/indexer.ts";
import { isNotebook } from "../../engine/indexing/notebook.ts";
import type { Models } from "../../engine/infer/models.ts";
import { loadLanguages } from "../../engine/languages/languages.ts";
import { openStore, type Store } from "../../engine/store/store.ts";

export const DIM = 16;
export const BRANCHING = 3;
export const MAX_TOKENS = 24;

/** One token for each word, each other visible character, and each run of line breaks. */
export function countTokens(text: string): number {
  return text.match(/\w+|[^\w\s]|[\r\n]+/g)?.length ?? 0;
}

export interface CountingModels extends Models {
  /** Every text the encoder was given. */
  readonly encoded: string[];
  /** Sizes of the groups the fuser was given. */
  readonly groupSizes: number[];
  /** Called before each run of any model. */
  beforeRun: (signal: AbortSignal | undefined) => void;
}

export function countingModels(): CountingModels {
  const encoded: string[] = [];
  const groupSizes: number[] = [];
  const models: CountingModels = {
    encoded,
    groupSizes,
    beforeRun: (signal) => signal?.throwIfAborted(),
    encode: async (texts, _priority, signal) => {
      models.beforeRun(signal);
      encoded.push(...texts);
      return texts.map(vectorOfText);
    },
    fuse: async (groups, signal) => {
      models.beforeRun(signal);
      groupSizes.push(...groups.map((group) => group.length));
      return groups.map(fuseGroup);
    },
    project: async (vectors, signal) => {
      models.beforeRun(signal);
      return vectors.map((vector) => vector.slice(0, 4).map((number) => 2 * number));
    },
    generate: () => Promise.reject(new Error("not for tests of the index")),
    close: async () => {},
  };
  return models;
}

export function vectorOfText(text: string): Vector {
  const bytes = createHash("sha256").update(text).digest();
  return normalised(Float32Array.from({ length: DIM }, (_, n) => (bytes[n] ?? 0) - 127.5));
}

/** Depends on the order of the children, as a real fuser does, and is not the identity for one. */
export function fuseGroup(group: readonly Vector[]): Vector {
  const sum = new Float32Array(DIM);
  for (const [place, vector] of group.entries())
    for (let n = 0; n < DIM; n++) sum[n] = (sum[n] ?? 0) + (vector[DIM - 1 - n] ?? 0) / (place + 1);
  return normalised(sum);
}

function normalised(vector: Vector): Vector {
  const length = Math.hypot(...vector);
  return vector.map((number) => number / length);
}

export async function directChunker(): Promise<Chunker> {
  const languages = await loadLanguages();
  return {
    supports: (path) => languages.forPath(path) !== undefined,
    chunk: async ({ path, text }, signal) => {
      signal?.throwIfAborted();
      if (isNotebook(path)) {
        const named = (name: string) => languages.all.find((language) => language.name === name);
        return chunkNotebook(text, named, countTokens, MAX_TOKENS);
      }
      return chunk(text, languages.forPath(path), countTokens, MAX_TOKENS);
    },
    close: async () => {},
  };
}

export interface Bench {
  readonly root: string;
  readonly storeDir: string;
  readonly models: CountingModels;
  readonly store: Store;
  readonly indexer: Indexer;
  write(files: Record<string, string>): void;
  close(): void;
}

export interface BenchOptions {
  readonly exclude?: readonly string[];
  readonly maxFileKiB?: number;
  readonly maxDiskMiB?: number;
  readonly chunker?: Chunker;
}

export async function openBench(files: Record<string, string>, options: BenchOptions = {}): Promise<Bench> {
  const dir = mkdtempSync(join(tmpdir(), "precis-index-"));
  const root = join(dir, "workspace");
  const storeDir = join(dir, "store");
  mkdirSync(root);
  const write = (contents: Record<string, string>) => {
    for (const [path, text] of Object.entries(contents)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
  };
  write(files);
  const models = countingModels();
  const { store } = openStoreIn(storeDir);
  const { exclude = [], maxFileKiB = 1024, maxDiskMiB = 200, chunker = await directChunker() } = options;
  const settings = {
    "index.exclude": exclude,
    "index.maxFileKiB": maxFileKiB,
    "index.maxDiskMiB": maxDiskMiB,
    "index.otherText": true,
  };
  const indexer = createIndexer({ root, store, chunker, models, branching: BRANCHING, settings });
  const close = () => {
    store.close();
    rmSync(dir, { recursive: true, force: true });
  };
  return { root, storeDir, models, store, indexer, write, close };
}

export function openStoreIn(dir: string) {
  return openStore({ dir, fingerprint: { chunker: 1, pack: "test" }, vectorDim: DIM, pseudoLength: 4 });
}

/** `n` functions, each a chunk of its own. */
export function functions(n: number, tag = "f"): string {
  return Array.from({ length: n }, (_, i) => `def ${tag}_${i}(a, b, c):\n    return a + b * c - ${i} + ${tag}\n`).join(
    "\n\n",
  );
}

/** A small repository of four files with chunks and one without. */
export const TREE = {
  "main.py": functions(2, "main"),
  "pkg/__init__.py": "",
  "pkg/one.py": functions(5, "one"),
  "pkg/deep/two.py": functions(1, "two"),
  "pkg/deep/three.py": functions(12, "three"),
};

/** Everything that a reader of the store can tell apart, without ids. */
export function contents(store: Store) {
  const seen = [...store.chunkIdentifiers()].map(({ id }) => {
    const [node] = store.nodes([id]);
    return [node?.path, node?.start, node?.text, node?.features, store.vectorOf(id), store.pseudoTokens([id]).get(id)];
  });
  const folders = new Set(
    [...store.files().keys()].flatMap((path) => path.split("/").map((_, n, parts) => parts.slice(0, n).join("/"))),
  );
  const fused = [...store.files().keys(), ...folders].map((path) =>
    (["file", "directory", "repository"] as const).map((level) => {
      const node = store.nodeAt(path, level);
      return node === undefined ? [path, level] : [path, level, node.end, node.endLine, store.vectorOf(node.id)];
    }),
  );
  const { dbBytes: _, ...stats } = store.stats();
  return {
    chunks: seen.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)),
    fused: fused.flat().sort(),
    stats,
  };
}
