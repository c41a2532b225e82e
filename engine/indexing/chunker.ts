// The main thread's side of `chunkWorker.ts`: file -> chunks. A file that kills the worker is cut without parsing by the
// next one; a file that kills that too gives no chunks. Both are problems, never an error.
import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import type { Chunk, SourceFile } from "../domain.ts";
import { EngineError, messageOf, type Problem } from "../errors.ts";
import type { LanguagePaths } from "../languages/languages.ts";
import type { ChunkReply, ChunkRequest, ChunkWorkerOptions } from "./chunkWorker.ts";

export interface ChunkerOptions {
  /** `chunkWorker.js` beside the bundle, or `chunkWorker.ts` in the sources. */
  readonly workerUrl: URL;
  /** The pack's `tokenizer.json`. */
  readonly tokenizerFile: string;
  /** The pack's `chunking.maxTokens`. */
  readonly maxTokens: number;
  /** Where queries and grammars lie, when not where `languages.ts` expects them. */
  readonly languages?: LanguagePaths;
  /** Whether the chunks' features hold the linearised syntax; false when absent. */
  readonly isLinearised?: boolean;
}

export interface Chunked {
  readonly chunks: readonly Chunk[];
  readonly problems: readonly Problem[];
  /** Milliseconds of the worker's thread, the wait for it left out. */
  readonly ms?: number;
}

export interface Chunker {
  /** Whether a language's query claims the file. */
  supports(path: string): boolean;
  chunk(file: SourceFile, signal?: AbortSignal): Promise<Chunked>;
  close(): Promise<void>;
}

interface Job {
  readonly request: ChunkRequest;
  readonly resolve: (chunked: Chunked) => void;
  readonly reject: (reason: unknown) => void;
  /** Drops the abort listener. */
  readonly settle: () => void;
}

export async function startChunker(options: ChunkerOptions): Promise<Chunker> {
  const client = new ChunkerClient(options);
  await client.start();
  return client;
}

class ChunkerClient implements Chunker {
  readonly #options: ChunkerOptions;
  /** In the order the worker takes them: the first is the one it is at. */
  readonly #jobs = new Map<number, Job>();
  #extensions: ReadonlySet<string> = new Set();
  #worker: Worker | undefined;
  #nextId = 1;
  #isClosed = false;

  constructor(options: ChunkerOptions) {
    this.#options = options;
  }

  start(): Promise<void> {
    const { workerUrl, tokenizerFile, maxTokens, languages, isLinearised = false } = this.#options;
    const data: ChunkWorkerOptions = { tokenizerFile, maxTokens, languages, isLinearised };
    const worker = new Worker(workerUrl, { workerData: data });
    this.#worker = worker;
    return new Promise((resolve, reject) => {
      const fail = (detail: string) => {
        reject(new EngineError("WORKER_FAILED", `the chunk worker did not start: ${detail}`));
      };
      let lastError = "";
      let isReady = false;
      worker.on("message", (message: ChunkReply) => {
        if (message.kind === "ready") {
          this.#extensions = new Set(message.extensions);
          isReady = true;
          resolve();
        } else if (message.kind === "failed") {
          lastError = message.detail;
          void worker.terminate();
        } else {
          const { id, chunks, problems, ms } = message;
          this.#finish(id, { chunks, problems, ms });
        }
      });
      worker.on("error", (error) => {
        lastError = messageOf(error);
      });
      worker.on("exit", () => {
        // One that never got ready would not the next time either.
        if (!isReady) fail(lastError);
        else if (this.#worker === worker) this.#restart(lastError);
      });
    });
  }

  supports(path: string): boolean {
    return this.#extensions.has(extname(path).toLowerCase());
  }

  async chunk(file: SourceFile, signal?: AbortSignal): Promise<Chunked> {
    signal?.throwIfAborted();
    if (this.#isClosed) throw new EngineError("WORKER_FAILED", "the chunker is closed");
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      // The job stays listed: the worker is at it, or will be.
      const onAbort = () => reject(signal?.reason);
      signal?.addEventListener("abort", onAbort, { once: true });
      const settle = () => signal?.removeEventListener("abort", onAbort);
      const request: ChunkRequest = { id, path: file.path, text: file.text, isParsed: true };
      this.#jobs.set(id, { request, resolve, reject, settle });
      this.#worker?.postMessage(request);
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const worker = this.#worker;
    this.#worker = undefined;
    for (const job of this.#jobs.values()) {
      job.settle();
      job.reject(new EngineError("WORKER_FAILED", "the chunker was closed"));
    }
    this.#jobs.clear();
    await worker?.terminate();
  }

  #finish(id: number, chunked: Chunked): void {
    const job = this.#jobs.get(id);
    this.#jobs.delete(id);
    job?.settle();
    job?.resolve(chunked);
  }

  /** The first job is the culprit: it is tried once more without parsing, then given up. The rest are sent again. */
  #restart(detail: string): void {
    const [culprit] = this.#jobs.values();
    if (culprit !== undefined) {
      const { request } = culprit;
      const problem: Problem = { code: "PARSE_FALLBACK", detail: `the parser died: ${detail}`, path: request.path };
      if (!request.isParsed) {
        this.#finish(request.id, { chunks: [], problems: [problem] });
      } else {
        const resolve = (chunked: Chunked) =>
          culprit.resolve({ chunks: chunked.chunks, problems: [problem, ...chunked.problems] });
        this.#jobs.set(request.id, { ...culprit, request: { ...request, isParsed: false }, resolve });
      }
    }
    this.start().catch((error: unknown) => {
      // It started before; now it does not. Waiting files must hear of it.
      for (const job of this.#jobs.values()) {
        job.settle();
        job.reject(error);
      }
      this.#jobs.clear();
      this.#worker = undefined;
      this.#isClosed = true;
    });
    for (const job of this.#jobs.values()) this.#worker?.postMessage(job.request);
  }
}
