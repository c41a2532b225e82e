// `precis bench retrieval`: each retriever and all merged over made stores of growing size, beside the reader's own time.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Command } from "commander";
import { parseSettings } from "../engine/config.ts";
import type { Prompt } from "../engine/domain.ts";
import { type Engine, fingerprintOf, startEngine } from "../engine/engine.ts";
import { EngineError } from "../engine/errors.ts";
import { type Installation, storeDirOf } from "../engine/installation.ts";
import { pseudoLengthOf } from "../engine/pack/pack.ts";
import { RecentFiles } from "../engine/retrieval/recentFiles.ts";
import { createRetrieve, loadRetrievers } from "../engine/retrieval/retrieve.ts";
import { openStore, type Store } from "../engine/store/store.ts";
import type { Bench } from "./bench.ts";
import { precisionSteps } from "./precisionSteps.ts";
import { type Cell, report, type Table } from "./report.ts";
import { heldBuffers } from "./residentMemory.ts";
import { drawn, fillStore, type RealChunk, randomOf, readRealChunks } from "./syntheticChunks.ts";

interface Options {
  readonly source: string;
  readonly sizes: readonly number[];
  readonly queries: number;
  readonly seed: number;
  readonly retrievers?: readonly string[];
  readonly made?: string;
  readonly store?: string;
}

/** As a completion asks: the pack's pseudo-tokens bound the candidates. */
const LEVELS = ["chunk", "file", "directory", "repository"] as const;

const RECALL_AT = 32;
/** Comparing every vector of a large store takes a second a query. */
const RECALL_QUERIES = { small: 50, large: 8, largeFrom: 300_000 };
const COLD_READS = 12;
/** Files that count as opened just now. */
const RECENT_FILES = 8;
const QUERY_LINES = 20;

export const retrievalBench: Bench = {
  name: "retrieval",
  description: "retrievers over made stores of growing size: latency, growth, recall, memory, disk",
  addOptions: (command: Command) =>
    command
      .requiredOption("--source <dir>", "a real tree: made chunks take its statistics, queries its text")
      .option("--sizes <list>", "chunks, separated by commas", sizesOf, [10_000, 100_000])
      .option("--queries <n>", "queries for each size", Number, 200)
      .option("--seed <n>", "seed of chunks and queries", Number, 1)
      .option("--retrievers <list>", "in place of the setting's default, separated by commas", (list) =>
        list.split(","),
      )
      .option("--made <dir>", "keep made stores here, and take those of an earlier run with the same source and seed")
      .option("--store <dir>", "keep the index of the source here; a temporary folder when absent"),
  run: (options, installation) => run(options as unknown as Options, installation),
};

function sizesOf(list: string): number[] {
  const sizes = list.split(",").map(Number);
  if (sizes.some((size) => !Number.isInteger(size) || size < 1))
    throw new EngineError("USAGE", `--sizes ${list} is no list of whole numbers`);
  return sizes;
}

interface Measured {
  readonly size: number;
  /** Milliseconds by retriever, `merged` for all of them at once. */
  readonly times: ReadonlyMap<string, readonly number[]>;
  readonly blockedMs: number;
  readonly recall: number;
  readonly memoryMiB: number;
  readonly loadMs: number;
  readonly bytesPerChunk: number;
}

async function run(options: Options, installation: Installation) {
  const { settings } = parseSettings({});
  const engine = await startEngine({ packsDir: installation.packsDir, settings, workers: installation.workers });
  const scratch = mkdtempSync(join(tmpdir(), "precis-bench-"));
  try {
    const root = resolve(options.source);
    const storeDir = storeDirOf(resolve(options.store ?? scratch), root);
    const workspace = await engine.openWorkspace({ root, storeDir, settings });
    await workspace.index();
    workspace.close();
    const ofSource = { ...shapesOf(engine), dir: storeDir, readOnly: true };
    const source = openStore(ofSource).store;
    const real = readRealChunks(source);
    if (real.length < 100) throw new EngineError("USAGE", `${root} has ${real.length} chunks; take a larger tree`);
    const prompts = promptsOf(real, options);
    const cold = await coldTtft(engine, real, options.seed);
    const realRecall = await recallOf(source, engine, prompts);
    source.close();
    const vectors = await engine.models.encode(
      prompts.slice(0, RECALL_QUERIES.small).map(({ query }) => query),
      "completion",
    );
    const steps = precisionSteps(ofSource, join(scratch, "steps"), vectors);
    const names = options.retrievers ?? settings["retrieval.retrievers"];
    const measured: Measured[] = [];
    for (const size of options.sizes) {
      const dir = join(resolve(options.made ?? scratch), `${size}-${options.seed}`);
      measured.push(await measure(size, dir, { engine, names, real, prompts, seed: options.seed }));
      if (options.made === undefined) rmSync(dir, { recursive: true, force: true });
    }
    const tables = tablesOf(measured, cold, real.length, realRecall, options);
    return report("retrieval", [...tables, steps], [plotOf(measured)]);
  } finally {
    await engine.close();
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Pseudo-tokens are left out of made stores: no search reads them, and they are most of a store's bytes. */
function shapesOf(engine: Engine, withPseudoTokens = true) {
  const { manifest } = engine.pack;
  const pseudoLength = withPseudoTokens ? pseudoLengthOf(manifest) : 0;
  return { fingerprint: fingerprintOf(engine.pack), vectorDim: manifest.encoder.vectorDim, pseudoLength };
}

/** Windows of real text: as many lines as a completion's query has, from where one chunk begins into the next. */
function promptsOf(real: readonly RealChunk[], { queries, seed }: Options): Prompt[] {
  const random = randomOf(seed + 1);
  return Array.from({ length: queries }, () => {
    const at = Math.floor(random() * real.length);
    const text = real.slice(at, at + 4).map((chunk) => chunk.text);
    const query = text.join("\n").split("\n").slice(0, QUERY_LINES).join("\n");
    return { path: "folder0/file0.py", prefix: "", suffix: "", query };
  });
}

/** Milliseconds to the first token with nothing of the prompt in the reader's cache and nothing retrieved, a file each. */
async function coldTtft(engine: Engine, real: readonly RealChunk[], seed: number): Promise<number[]> {
  const random = randomOf(seed + 2);
  const times: number[] = [];
  for (let n = 0; n <= COLD_READS; n += 1) {
    const text = Array.from({ length: 24 }, () => drawn(real, random).text).join("\n");
    const cursor = { path: `cold${n}.py`, text, offset: text.indexOf("\n", Math.floor(text.length * 0.7)) };
    const { timings, reason } = await engine.complete(cursor, { mode: "none", maxLines: 1 });
    // The first run of a session is slower than any later one.
    if (n > 0 && reason !== "cursor-past-end") times.push(timings.ttftMs);
  }
  return times;
}

interface Setting {
  readonly engine: Engine;
  readonly names: readonly string[];
  readonly real: readonly RealChunk[];
  readonly prompts: readonly Prompt[];
  readonly seed: number;
}

async function measure(size: number, dir: string, { engine, names, real, prompts, seed }: Setting): Promise<Measured> {
  const shapes = shapesOf(engine, false);
  const making = openStore({ ...shapes, dir }).store;
  const { chunks } = making.stats();
  if (chunks > 0 && chunks !== size)
    throw new EngineError("USAGE", `${dir} holds ${chunks} of ${size} chunks; remove it`);
  if (chunks === 0) {
    fillStore(making, real, size, seed);
    making.tidy(0);
  }
  making.close();
  // A fresh store, as a window that opens: nothing is in memory yet.
  const before = heldBuffers();
  const store = openStore({ ...shapes, dir }).store;
  const loading = performance.now();
  await store.warm();
  const loadMs = performance.now() - loading;
  const limit = engine.pack.manifest.prompt.budget.pseudoTokens;
  const recentFiles = new RecentFiles();
  for (const path of [...store.files().keys()].slice(0, RECENT_FILES)) recentFiles.touch(path);
  const deps = { store, models: engine.models, recentFiles };
  const times = new Map<string, number[]>();
  for (const name of names) {
    const { retrievers } = await loadRetrievers([name], deps);
    const retrieve = createRetrieve(store, retrievers);
    times.set(name, await timed(prompts, (prompt) => retrieve(prompt, { limit, levels: LEVELS })));
  }
  const { retrievers } = await loadRetrievers(names, deps);
  const merged = createRetrieve(store, retrievers);
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  times.set("merged", await timed(prompts, (prompt) => merged(prompt, { limit, levels: LEVELS })));
  delay.disable();
  const memoryMiB = heldBuffers() - before;
  const recall = await recallOf(store, engine, prompts);
  const bytesPerChunk = store.stats().dbBytes / size;
  store.close();
  return { size, times, blockedMs: delay.max / 1e6, recall, memoryMiB, loadMs, bytesPerChunk };
}

async function timed(prompts: readonly Prompt[], work: (prompt: Prompt) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (const prompt of prompts) {
    const from = performance.now();
    await work(prompt);
    times.push(performance.now() - from);
  }
  return times;
}

/** Share of the nearest by stored numbers that the search returns; queries are encoded windows of real text. */
async function recallOf(store: Store, engine: Engine, prompts: readonly Prompt[]): Promise<number> {
  const { small, large, largeFrom } = RECALL_QUERIES;
  const asked = prompts.slice(0, store.stats().nodes >= largeFrom ? large : small);
  let met = 0;
  let wanted = 0;
  for (const { query } of asked) {
    const [vector] = await engine.models.encode([query], "completion");
    if (vector === undefined) continue;
    const exact = new Set(store.searchVectorsExactly(vector, RECALL_AT).map(({ id }) => id));
    met += store.searchVectors(vector, RECALL_AT).filter(({ id }) => exact.has(id)).length;
    wanted += exact.size;
  }
  return met / wanted;
}

function tablesOf(
  measured: readonly Measured[],
  cold: readonly number[],
  realChunks: number,
  realRecall: number,
  { source, queries, seed }: Options,
): Table[] {
  const coldMs = quantile(cold, 0.5);
  const latency: Cell[][] = measured.flatMap(({ size, times }) =>
    [...times].map(([name, list]): Cell[] => [
      size,
      name,
      quantile(list, 0.5),
      quantile(list, 0.95),
      (100 * quantile(list, 0.95)) / coldMs,
    ]),
  );
  const growth: Cell[][] = [...(measured[0]?.times.keys() ?? [])].map((name) => [
    name,
    slopeOf(measured.map(({ size, times }) => [size, quantile(times.get(name) ?? [], 0.5)])),
    slopeOf(measured.map(({ size, times }) => [size, quantile(times.get(name) ?? [], 0.95)])),
  ]);
  const state: Cell[][] = measured.map(({ size, recall, blockedMs, memoryMiB, loadMs, bytesPerChunk }) => [
    size,
    100 * recall,
    blockedMs,
    memoryMiB,
    loadMs,
    bytesPerChunk,
  ]);
  return [
    {
      title: "Latency",
      columns: ["chunks", "retriever", "p50 ms", "p95 ms", "p95, % of cold TTFT"],
      rows: latency,
      notes: [
        `${queries} queries a size, seed ${seed}, ${QUERY_LINES} lines of real text each, no two the same; chunks made from the ${realChunks} of ${source}`,
        "the encoder's run is part of what uses it",
        `cold TTFT of the bundled reader, nothing retrieved, same run: median ${coldMs.toFixed(0)} ms of ${cold.length}`,
      ],
    },
    { title: "Growth: exponent of size", columns: ["retriever", "of p50", "of p95"], rows: growth },
    {
      title: "Recall, memory, disk",
      columns: ["chunks", `recall@${RECALL_AT} %`, "longest block ms", "memory MiB", "load ms", "bytes a chunk"],
      rows: state,
      notes: [
        `recall: nearest vectors found, of those found by comparing every vector; ${(100 * realRecall).toFixed(1)} % on the ${realChunks} real chunks`,
        "longest block: of the event loop while merged retrieval runs; memory: arrays held by searches",
        "bytes: the whole file with text and float32 vectors; pseudo-tokens and syntax features left out",
      ],
    },
  ];
}

function plotOf(measured: readonly Measured[]): object {
  const values = measured.flatMap(({ size, times }) =>
    [...times].map(([retriever, list]) => ({ size, retriever, ms: quantile(list, 0.95) })),
  );
  const sizes = measured.map(({ size }) => size);
  return {
    title: "Retrieval, 95th percentile",
    width: 480,
    height: 320,
    data: { values },
    mark: { type: "line", point: true },
    encoding: {
      x: {
        field: "size",
        type: "quantitative",
        scale: { type: "log" },
        title: "chunks",
        axis: { format: "~s", values: sizes },
      },
      y: { field: "ms", type: "quantitative", scale: { type: "log" }, title: "p95, milliseconds" },
      color: { field: "retriever", type: "nominal", title: "retriever", sort: { field: "ms", order: "descending" } },
    },
  };
}

/** Least-squares slope of log y over log x; null for fewer than two sizes. */
function slopeOf(points: readonly (readonly [number, number])[]): number | null {
  if (points.length < 2) return null;
  const logs = points.map(([x, y]) => [Math.log(x), Math.log(y)] as const);
  const meanX = logs.reduce((sum, [x]) => sum + x, 0) / logs.length;
  const meanY = logs.reduce((sum, [, y]) => sum + y, 0) / logs.length;
  const above = logs.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  return above / logs.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
}

function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;
}
