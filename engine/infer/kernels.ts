// Kernels of our own for a pass over few rows, the reader's tokens: the runtime's cost several times what reading the weights does.
// They share the session's weights and take over its keys and values, and give a row the same numbers whatever it is read with.
import { readFile } from "node:fs/promises";
import { Worker } from "node:worker_threads";
import { readOnnxModel } from "../pack/onnxModel.ts";
import type { Likeliest } from "./choice.ts";
import { HANDED, type KernelMemory, kernelMemory, MOST_ROWS } from "./kernelMemory.ts";
import {
  ASKED,
  BEST,
  BEST_BYTES,
  DIM,
  GENERATION,
  KV,
  LOGITS,
  MOST_THREADS,
  PAST,
  PLAN,
  ROWS,
  SCRATCH,
  VOCAB,
  X,
} from "./kernels/plan.ts";
import type { KernelThreadStart } from "./kernelThread.ts";
import { kernelWeights } from "./kernelWeights.ts";
import type { KvShape } from "./kvCache.ts";
import { Instance, Module } from "./webAssembly.ts";

/** Larger weights would lie in memory twice. */
const MOST_BYTES = 2 ** 30;

export interface KernelOptions extends KvShape {
  readonly vocabSize: number;
  readonly maxTokens: number;
  readonly threads: number;
  /** Key-value caches that are used in turn. */
  readonly caches: number;
}

interface Exports {
  readonly run: () => void;
  readonly keepRows: (layer: number, part: number, position: number, rows: number, count: number) => void;
  readonly writeConstants: () => void;
}

/** What a pass says of its last rows. */
export interface Predictions {
  /** `[rows, vocabSize]`: a view that the next pass overwrites. */
  readonly logits: Float32Array;
  /** Of each row, where the kernels know it; otherwise it must be looked for. */
  readonly likeliest: readonly Likeliest[];
}

/** Undefined where the graph is not one that the kernels can stand in for, or is too large for them. */
export async function openKernels(file: string, options: KernelOptions): Promise<Kernels | undefined> {
  const weights = kernelWeights(await readOnnxModel(file), options.kvHeads, options.headDim);
  if (weights === undefined || weights.layers.length !== options.layers) return undefined;
  const bytes = weights.layers
    .flatMap(({ qkv, output, gate, up, down }) => [qkv, output, gate, up, down])
    .reduce((sum, { levels }) => sum + (levels.place?.bytes ?? 0), weights.head.levels.place?.bytes ?? 0);
  if (bytes > MOST_BYTES) return undefined;
  const threads = Math.min(MOST_THREADS, options.threads);
  const shared = await kernelMemory(weights, { ...options, threads });
  if (shared === undefined) return undefined;
  const isSource = import.meta.url.endsWith(".ts");
  const code = await readFile(new URL(isSource ? "./kernels/pass.wasm" : "./pass.wasm", import.meta.url));
  const module = new Module(code);
  const entry = new URL(isSource ? "./kernelThread.ts" : "./kernelThread.js", import.meta.url);
  const helpers = Array.from({ length: threads - 1 }, (_, n) => {
    const data: KernelThreadStart = { module, memory: shared.memory, thread: n + 1 };
    const helper = new Worker(entry, { workerData: data, name: "precis-kernels" });
    // Between two passes a helper may sleep for ever.
    helper.unref();
    return helper;
  });
  const { exports } = new Instance(module, { env: { memory: shared.memory } });
  return new Kernels(shared, exports as Exports, helpers, options);
}

export class Kernels {
  readonly #shared: KernelMemory;
  readonly #exports: Exports;
  readonly #helpers: readonly Worker[];
  readonly #shape: KvShape;
  #taken = 0;

  constructor(shared: KernelMemory, exports: Exports, helpers: readonly Worker[], shape: KvShape) {
    this.#shared = shared;
    this.#exports = exports;
    this.#helpers = helpers;
    this.#shape = shape;
    exports.writeConstants();
  }

  /** Address of a cache that nobody has; there are as many as were asked for. */
  takeCache(): number {
    const cache = this.#shared.caches[this.#taken];
    if (cache === undefined) throw new Error("more caches than the kernels have room for");
    this.#taken += 1;
    return cache;
  }

  /** Takes over `[kvHeads, count, headDim]` keys (`part` 0) or values (1) of a layer, from `position` on. */
  keep(cache: number, layer: number, part: 0 | 1, rows: Float32Array, position: number, count: number): void {
    const { kvHeads, headDim } = this.#shape;
    this.#write(KV, cache);
    const scratch = this.#word(SCRATCH);
    for (let head = 0; head < kvHeads; head += 1) {
      for (let from = 0; from < count; from += HANDED) {
        const until = Math.min(count, from + HANDED);
        const own = rows.subarray((head * count + from) * headDim, (head * count + until) * headDim);
        this.#shared.floats.set(own, scratch / 4);
        this.#exports.keepRows(layer, part * kvHeads + head, position + from, scratch, until - from);
      }
    }
  }

  /**
   * One pass over `rows` `[T, readerDim]`, T at most `MOST_ROWS`, behind `past` positions of a cache, which takes the new keys and
   * values. Answers what it says of the last `asked` ones.
   */
  run(cache: number, past: number, rows: Float32Array, asked: number): Predictions {
    const { floats } = this.#shared;
    const count = rows.length / this.#word(DIM);
    if (count > MOST_ROWS) throw new Error(`a pass takes ${MOST_ROWS} rows, not ${count}`);
    floats.set(rows, this.#word(X) / 4);
    this.#write(ROWS, count);
    this.#write(PAST, past);
    this.#write(ASKED, asked);
    this.#write(KV, cache);
    this.#exports.run();
    const logits = this.#word(LOGITS) / 4;
    return {
      logits: floats.subarray(logits, logits + asked * this.#word(VOCAB)),
      likeliest: Array.from({ length: asked }, (_, row) => this.#likeliest(row)),
    };
  }

  #likeliest(row: number): Likeliest {
    const at = (this.#word(BEST) + row * BEST_BYTES) / 4;
    const [token = 0, runnerUp = 0] = this.#shared.words.subarray(at, at + 2);
    const [top = 0, second = 0, sum = 0] = this.#shared.floats.subarray(at + 2, at + BEST_BYTES / 4);
    return { token, runnerUp, top, second, sum };
  }

  /** Ends the helpers, which are outside of a pass or leave it. */
  async close(): Promise<void> {
    const ends = this.#helpers.map((helper) => new Promise((resolve) => helper.once("exit", resolve)));
    for (const helper of this.#helpers) helper.ref();
    Atomics.store(this.#shared.words, GENERATION / 4, -1);
    Atomics.notify(this.#shared.words, GENERATION / 4);
    await Promise.all(ends);
  }

  /** Addresses reach beyond what a signed word holds. */
  #word(word: number): number {
    return (this.#shared.words[PLAN / 4 + word] ?? 0) >>> 0;
  }

  #write(word: number, value: number): void {
    this.#shared.words[PLAN / 4 + word] = value;
  }
}
