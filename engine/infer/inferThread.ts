// The main thread's side of the inference worker: `Models` behind the schedule. The worker is started when it is needed: at
// first, after a crash, and after it was closed because nothing was asked of it.
import { SHARE_ENV, Worker } from "node:worker_threads";
import type { ReaderInput, Vector } from "../domain.ts";
import { EngineError, messageOf, type Problem } from "../errors.ts";
import type { Schedule } from "../schedule.ts";
import type { WorkerReply, WorkerRequest, WorkerStart, WorkerStarted } from "./inferMessages.ts";
import type { GenerateOptions, Generation, Models } from "./models.ts";

export interface InferThreadOptions {
  /** The bundle's `inferWorker.js`, or the source file. */
  readonly workerUrl: URL;
  readonly data: WorkerStart;
  readonly schedule: Schedule;
  /** Milliseconds without a request after which the models are closed; 0 or absent never. */
  readonly unloadAfterMs?: number;
  /** Told when a provider that had worked fails, and the CPU takes over. */
  readonly onProblem?: (problem: Problem) => void;
  /** Told when the models were opened or closed; `isLoaded` and `provider` may differ. */
  readonly onChange?: () => void;
}

/** The models of a worker that can be closed and is started again by the next request. */
export interface InferenceModels extends Models {
  readonly isLoaded: boolean;
  /** Name of the execution provider the reader runs on, or ran on before it was closed. */
  readonly provider: string;
  /** Milliseconds without a request, from now on; 0 never. */
  unloadAfter(ms: number): void;
  /** Gives the models' memory back to the system, when nothing runs and nothing waits. */
  unload(): Promise<void>;
  /** From the next start on; starts anew at the next pause. */
  useProviders(names: readonly string[]): Promise<void>;
}

/** The models with what a reader elsewhere needs of the pack's. */
export interface LocalModels extends InferenceModels {
  /** The input as the reader's rows `[positions, readerDim]`. Only where the worker was started without a reader. */
  rows(input: ReaderInput, signal?: AbortSignal): Promise<Float32Array>;
}

type Body = WorkerRequest extends infer R ? (R extends WorkerRequest ? Omit<R, "id" | "cancelled"> : never) : never;

interface Pending {
  readonly resolve: (result: NonNullable<WorkerReply["result"]>) => void;
  readonly reject: (error: EngineError) => void;
}

/** Starts the worker and waits until every model is open. Throws the pack's or provider's error. */
export async function startInferThread(
  options: InferThreadOptions,
): Promise<{ models: LocalModels; problems: readonly Problem[] }> {
  const thread = new InferThread(options);
  const problems = await thread.start();
  return { models: thread, problems };
}

class InferThread implements LocalModels {
  readonly #options: InferThreadOptions;
  #data: WorkerStart;
  #unloadAfterMs: number;
  #provider = "cpu";
  #idle: NodeJS.Timeout | undefined;
  readonly #pending = new Map<number, Pending>();
  #worker: Worker | undefined;
  #nextId = 1;
  #isClosed = false;

  constructor(options: InferThreadOptions) {
    this.#options = options;
    this.#data = options.data;
    this.#unloadAfterMs = options.unloadAfterMs ?? 0;
  }

  get isLoaded(): boolean {
    return this.#worker !== undefined;
  }

  get provider(): string {
    return this.#provider;
  }

  async start(): Promise<readonly Problem[]> {
    const { problems, provider } = await this.#startWorker();
    this.#provider = provider;
    this.#waitForIdle();
    this.#options.onChange?.();
    return problems;
  }

  #startWorker(): Promise<WorkerStarted> {
    // The runtime reads the process' own environment, of which a thread would have a copy.
    const worker = new Worker(this.#options.workerUrl, {
      workerData: this.#data,
      name: "precis-inference",
      env: SHARE_ENV,
    });
    this.#worker = worker;
    return new Promise((resolve, reject) => {
      this.#pending.set(0, { resolve: (result) => resolve(result as WorkerStarted), reject });
      worker.on("message", (reply: WorkerReply) => this.#settle(reply));
      worker.on("error", (error) => this.#lost(worker, messageOf(error)));
      worker.on("exit", (code) => this.#lost(worker, `exited with status ${code}`));
    });
  }

  async encode(texts: readonly string[], priority: "completion" | "indexing", signal?: AbortSignal): Promise<Vector[]> {
    const body: Body = { kind: "encode", texts, kindOfText: priority === "completion" ? "query" : "document" };
    return (await this.#scheduled(priority, body, signal)) as Vector[];
  }

  async fuse(groups: readonly (readonly Vector[])[], signal?: AbortSignal): Promise<Vector[]> {
    return (await this.#scheduled("indexing", { kind: "fuse", groups }, signal)) as Vector[];
  }

  async project(vectors: readonly Vector[], signal?: AbortSignal): Promise<Float32Array[]> {
    return (await this.#scheduled("indexing", { kind: "project", vectors }, signal)) as Float32Array[];
  }

  /** Answers what was generated before the cancel, so that the caller can still see how far it came. */
  async generate(input: ReaderInput, options: GenerateOptions, signal?: AbortSignal): Promise<Generation> {
    const body: Body = { kind: "generate", input, options };
    return (await this.#options.schedule.run("completion", () => this.#askAnyhow(body, signal), signal)) as Generation;
  }

  async rows(input: ReaderInput, signal?: AbortSignal): Promise<Float32Array> {
    const [rows] = (await this.#scheduled("completion", { kind: "rows", input }, signal)) as Float32Array[];
    if (rows === undefined) throw new EngineError("WORKER_FAILED", "the inference worker gave no rows");
    return rows;
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#idle);
    await this.#endWorker();
  }

  unloadAfter(ms: number): void {
    this.#unloadAfterMs = ms;
    this.#waitForIdle();
  }

  async unload(): Promise<void> {
    // The gate holds back what comes meanwhile, so that no request meets a worker about to end.
    await this.#options.schedule.run("indexing", async () => {
      if (!this.#isClosed && this.#pending.size === 0) await this.#endWorker();
    });
  }

  async useProviders(names: readonly string[]): Promise<void> {
    this.#data = { ...this.#data, providers: names };
    await this.unload();
  }

  /** Between two runs, never inside one. */
  async #endWorker(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) return;
    const gone = new Promise<void>((resolve) => worker.once("exit", () => resolve()));
    await this.#ask({ kind: "close" }).catch((error: unknown) => {
      if (!(error instanceof EngineError)) throw error;
    });
    await gone;
  }

  async #scheduled(priority: "completion" | "indexing", body: Body, signal: AbortSignal | undefined): Promise<unknown> {
    const result = await this.#options.schedule.run(priority, () => this.#askAnyhow(body, signal), signal);
    signal?.throwIfAborted();
    return result;
  }

  /** A device can be lost at any time, to a driver's update or to another program: the CPU goes on with the same request. */
  async #askAnyhow(body: Body, signal: AbortSignal | undefined): Promise<NonNullable<WorkerReply["result"]>> {
    try {
      return await this.#ask(body, signal);
    } catch (error) {
      const isOnDevice = this.#data.providers[0] !== "cpu";
      if (!(error instanceof EngineError) || error.code !== "WORKER_FAILED" || !isOnDevice) throw error;
      this.#options.onProblem?.({ code: "PROVIDER_FELL_BACK", detail: `${this.#provider}: ${error.message}` });
      this.#data = { ...this.#data, providers: ["cpu"] };
      await this.#endWorker();
      return this.#ask(body, signal);
    }
  }

  async #ask(body: Body, signal?: AbortSignal): Promise<NonNullable<WorkerReply["result"]>> {
    clearTimeout(this.#idle);
    if (this.#worker === undefined) await this.start();
    clearTimeout(this.#idle);
    const worker = this.#worker;
    if (worker === undefined) throw new EngineError("WORKER_FAILED", "the inference worker ended while starting");
    const id = this.#nextId;
    this.#nextId += 1;
    const cancelled = new Int32Array(new SharedArrayBuffer(4));
    const onAbort = () => {
      Atomics.store(cancelled, 0, 1);
    };
    if (signal?.aborted) onAbort();
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      return await new Promise((resolve, reject) => {
        this.#pending.set(id, { resolve, reject });
        worker.postMessage({ ...body, id, cancelled });
      });
    } finally {
      signal?.removeEventListener("abort", onAbort);
      this.#waitForIdle();
    }
  }

  #waitForIdle(): void {
    clearTimeout(this.#idle);
    if (this.#unloadAfterMs === 0 || this.#isClosed || this.#worker === undefined) return;
    this.#idle = setTimeout(() => void this.unload(), this.#unloadAfterMs);
    // Only the worker keeps a process alive, not the wait for its end.
    this.#idle.unref();
  }

  #settle(reply: WorkerReply): void {
    const pending = this.#pending.get(reply.id);
    if (pending === undefined) return;
    this.#pending.delete(reply.id);
    if (reply.error !== undefined) pending.reject(new EngineError(reply.error.code, reply.error.detail));
    else pending.resolve(reply.result ?? []);
  }

  #lost(worker: Worker, detail: string): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    this.#options.onChange?.();
    for (const pending of this.#pending.values())
      pending.reject(new EngineError("WORKER_FAILED", `the inference worker ${detail}`));
    this.#pending.clear();
  }
}
