// An index over parts that are timed: what each stage of a pass takes on its own thread.

import { join } from "node:path";
import type { Settings } from "../engine/config.ts";
import { type Engine, fingerprintOf } from "../engine/engine.ts";
import type { Chunker } from "../engine/indexing/chunker.ts";
import { createIndexer, type Indexer } from "../engine/indexing/indexer.ts";
import type { Models } from "../engine/infer/models.ts";
import { pseudoLengthOf } from "../engine/pack/pack.ts";
import { openStore, type Store } from "../engine/store/store.ts";

export const STAGES = ["parse", "embed", "fuse", "project", "store"] as const;
export type Stage = (typeof STAGES)[number];

export interface TimedIndex {
  readonly indexer: Indexer;
  readonly store: Store;
  /** Seconds of work by stage; they overlap on two threads, so their sum is no wall time. */
  readonly seconds: Record<Stage, number>;
  /** Calls of the encoder, each of up to 16 texts. */
  encoderBatches: number;
  close(): void;
}

/** `models` in place of the engine's own measures everything but the models. */
export function openTimedIndex(
  engine: Engine,
  where: { readonly root: string; readonly dir: string; readonly settings: Settings; readonly models?: Models },
): TimedIndex {
  const { manifest } = engine.pack;
  const seconds: Record<Stage, number> = { parse: 0, embed: 0, fuse: 0, project: 0, store: 0 };
  const timed = async <T>(stage: Stage, work: () => Promise<T>): Promise<T> => {
    const startedAt = performance.now();
    try {
      return await work();
    } finally {
      seconds[stage] += (performance.now() - startedAt) / 1000;
    }
  };
  const models = where.models ?? engine.models;
  const { store } = openStore({
    dir: join(where.dir, "store"),
    fingerprint: fingerprintOf(engine.pack),
    vectorDim: manifest.encoder.vectorDim,
    pseudoLength: pseudoLengthOf(manifest),
  });
  const chunker: Chunker = {
    supports: (path) => engine.chunker.supports(path),
    chunk: async (file, signal) => {
      const chunked = await engine.chunker.chunk(file, signal);
      seconds.parse += (chunked.ms ?? 0) / 1000;
      return chunked;
    },
    close: () => engine.chunker.close(),
  };
  const index: TimedIndex = {
    store,
    seconds,
    encoderBatches: 0,
    close: () => store.close(),
    indexer: createIndexer({
      root: where.root,
      store: timedStore(store, (spent) => {
        seconds.store += spent;
      }),
      chunker,
      models: {
        encode: (texts, priority, signal) => {
          index.encoderBatches += 1;
          return timed("embed", () => models.encode(texts, priority, signal));
        },
        fuse: (groups, signal) => timed("fuse", () => models.fuse(groups, signal)),
        project: (vectors, signal) => timed("project", () => models.project(vectors, signal)),
        generate: models.generate.bind(models),
        close: models.close.bind(models),
      },
      branching: manifest.fuser.branching,
      settings: where.settings,
    }),
  };
  return index;
}

/** The same store; every call's time is told. */
function timedStore(store: Store, tell: (seconds: number) => void): Store {
  return new Proxy(store, {
    get: (_, name) => {
      const value: unknown = Reflect.get(store, name, store);
      if (typeof value !== "function") return value;
      return (...given: unknown[]): unknown => {
        const startedAt = performance.now();
        try {
          return value.apply(store, given);
        } finally {
          tell((performance.now() - startedAt) / 1000);
        }
      };
    },
  });
}

/** Vectors and pseudo-tokens of the pack's shapes that cost next to nothing and differ from text to text. */
export function freeModels(engine: Engine): Models {
  const { encoder } = engine.pack.manifest;
  const length = pseudoLengthOf(engine.pack.manifest);
  const rows = Array.from({ length: 64 }, (_, row) =>
    Float32Array.from({ length: Math.max(length, encoder.vectorDim) }, (_, n) => Math.sin(row * 7919 + n)),
  );
  let next = 0;
  const row = (width: number) => {
    next = (next + 1) % rows.length;
    const made = (rows[next] ?? new Float32Array(width)).slice(0, width);
    made[0] = Math.random();
    return made;
  };
  return {
    encode: async (texts) => texts.map(() => row(encoder.vectorDim)),
    fuse: async (groups) => groups.map(() => row(encoder.vectorDim)),
    project: async (vectors) => vectors.map(() => row(length)),
    generate: () => Promise.reject(new Error("nothing to generate with")),
    close: async () => {},
  };
}
