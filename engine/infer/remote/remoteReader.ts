// The reader on a server: the pack describes it (tokenizer, prompts, embeddings, projector) and the decoder runs elsewhere.
import type { Mode, ReaderInput } from "../../domain.ts";
import { EngineError, isOfEndpoint, type Problem } from "../../errors.ts";
import type { PackManifest } from "../../pack/pack.ts";
import type { GenerateOptions, Generation } from "../models.ts";
import type { Tokenizer } from "../tokenizer.ts";
import type { Endpoint } from "./address.ts";
import { ask, causeOf, withoutKey } from "./ask.ts";
import { parsePiece, type RemotePrompt, requestBody } from "./completionWire.ts";
import { promptText } from "./promptText.ts";
import { describeServer, embedsFault, type Server } from "./server.ts";
import { serverEvents } from "./serverEvents.ts";
import { torchTensor } from "./torchTensor.ts";
import { WrittenText } from "./writtenText.ts";

/** Between two pieces of an answer. */
const STALL_MS = 20_000;
/** After a failure nothing is asked for so long, twice as long after each further one. */
const FIRST_REST_MS = 1_000;
const LONGEST_REST_MS = 30_000;

export interface RemoteReaderOptions {
  readonly endpoint: Endpoint;
  readonly tokenizer: Tokenizer;
  readonly manifest: Pick<PackManifest, "prompt" | "reader" | "modes">;
  /** The input as the reader's rows `[positions, readerDim]`, from the pack's own table. */
  readonly rows: (input: ReaderInput, signal?: AbortSignal) => Promise<Float32Array>;
  readonly key?: string | undefined;
  /** Told when `server` or `problem` changed. */
  readonly onChange?: (() => void) | undefined;
}

export class RemoteReader {
  readonly endpoint: Endpoint;
  readonly #options: RemoteReaderOptions;
  #key: string | undefined;
  #asking: Promise<Server> | undefined;
  #embedsFault: Promise<string | undefined> | undefined;
  #server: Server | undefined;
  #problem: EngineError | undefined;
  #restMs = 0;
  #restUntil = 0;

  constructor(options: RemoteReaderOptions) {
    this.endpoint = options.endpoint;
    this.#options = options;
    this.#key = options.key;
  }

  /** Undefined before it was asked. */
  get server(): Server | undefined {
    return this.#server;
  }

  /** Why the last request failed; undefined after one that did not. */
  get problem(): EngineError | undefined {
    return this.#problem;
  }

  /** From the next request on. */
  useKey(key: string | undefined): void {
    if (key === this.#key) return;
    this.#key = key;
    this.#restUntil = 0;
    this.#forget();
    this.#became(undefined);
  }

  /** Asks anew what server it is, whatever is known. Throws an `ENDPOINT_…` error. */
  async survey(): Promise<Server> {
    this.#forget();
    this.#restUntil = 0;
    return this.#guarded(() => this.#describe(undefined));
  }

  /** Compressed where the server takes embeddings, else the next best mode of the pack, and why. */
  async usableMode(mode: Mode, signal?: AbortSignal): Promise<{ mode: Mode; problems: readonly Problem[] }> {
    if (mode !== "compressed") return { mode, problems: [] };
    const fault = await this.embedsFault(signal);
    if (fault === undefined) return { mode, problems: [] };
    const instead = this.#options.manifest.modes.includes("full") ? "full" : "none";
    return { mode: instead, problems: [{ code: "MODE_FELL_BACK", detail: `${instead}: ${fault}` }] };
  }

  /** Why embeddings are not taken; undefined when they are. Asked of the server once. Throws an `ENDPOINT_…` error. */
  embedsFault(signal?: AbortSignal): Promise<string | undefined> {
    return this.#guarded(async () => {
      const server = await this.#describe(signal);
      this.#embedsFault ??= embedsFault({ endpoint: this.endpoint, key: this.#key }, server, async () => {
        const { readerDim } = this.#options.manifest.reader;
        // One row and one token: the least that shows it.
        const input = { pseudoTokens: new Float32Array(0), tokens: Int32Array.of(this.#stops()[0]?.id ?? 0) };
        return torchTensor(await this.#options.rows(input), readerDim);
      });
      return abortable(this.#embedsFault, signal);
    }, signal);
  }

  /** Aborted, it answers what has come until then. Throws an `ENDPOINT_…` error. */
  async generate(input: ReaderInput, options: GenerateOptions, signal?: AbortSignal): Promise<Generation> {
    const started = performance.now();
    const written = new WrittenText(this.#options.tokenizer, options);
    let ttftMs: number | undefined;
    let end: Generation["end"];
    try {
      end = await this.#guarded(async () => {
        const server = await this.#describe(signal);
        const prompt = await this.#promptFor(input, server, signal);
        return this.#read(server, prompt, options, signal, (piece) => {
          ttftMs ??= performance.now() - started;
          return written.add(piece);
        });
      }, signal);
    } catch (error) {
      if (!signal?.aborted) throw error;
      end = "cancelled";
    }
    const totalMs = performance.now() - started;
    const first = ttftMs ?? totalMs;
    const result = written.result;
    const counts = { runs: Math.max(0, result.tokens.length - 1), drafted: 0, accepted: 0, reusedTokens: 0 };
    return { ...result, end, prefillMs: first, ttftMs: first, totalMs, ...counts };
  }

  async #read(
    server: Server,
    prompt: RemotePrompt,
    options: GenerateOptions,
    signal: AbortSignal | undefined,
    take: (piece: NonNullable<ReturnType<typeof parsePiece>>) => Generation["end"] | undefined,
  ): Promise<Generation["end"]> {
    const stopped = new AbortController();
    const stall = new Stall(() => stopped.abort());
    const wanted = { model: server.model, prompt, maxTokens: options.maxNewTokens, stop: this.#stops() };
    try {
      const response = await ask({
        url: `${this.endpoint.api}/completions`,
        body: requestBody(wanted, server.dialect),
        key: this.#key,
        signal: signal === undefined ? stopped.signal : AbortSignal.any([signal, stopped.signal]),
      });
      stall.wait();
      for await (const data of eventsOf(response)) {
        stall.wait();
        if (data === "[DONE]") return "stop-token";
        const piece = parsePiece(data);
        const end = piece === undefined ? undefined : take(piece);
        if (end !== undefined) return end;
      }
    } catch (error) {
      if (error instanceof EngineError) throw error;
      signal?.throwIfAborted();
      const why = stopped.signal.aborted ? `nothing came for ${STALL_MS / 1000} s` : causeOf(error).message;
      throw new EngineError("ENDPOINT_FAILED", `the answer of ${this.endpoint.host} broke off: ${why}`, {
        cause: error,
      });
    } finally {
      stall.end();
      // A server goes on writing for a client that still listens.
      stopped.abort();
    }
    throw new EngineError("ENDPOINT_FAILED", `the answer of ${this.endpoint.host} broke off before its end`);
  }

  async #promptFor(input: ReaderInput, server: Server, signal: AbortSignal | undefined): Promise<RemotePrompt> {
    const { tokenizer, manifest, rows } = this.#options;
    if (input.pseudoTokens.length > 0) {
      const tensor = torchTensor(await rows(input, signal), manifest.reader.readerDim);
      return { kind: "embeds", base64: tensor.toString("base64") };
    }
    if (server.tokenizer === "same") return { kind: "ids", ids: Array.from(input.tokens) };
    return { kind: "text", text: promptText(input.tokens, tokenizer) };
  }

  #stops(): { id: number; name: string }[] {
    const { tokenizer, manifest } = this.#options;
    return manifest.prompt.stopTokens.map((name) => ({ id: tokenizer.idOf(name), name }));
  }

  /** One question for all who wait for it; an abort ends the wait, not the question. */
  #describe(signal: AbortSignal | undefined): Promise<Server> {
    const { tokenizer, manifest } = this.#options;
    this.#asking ??= describeServer({ endpoint: this.endpoint, key: this.#key, tokenizer, manifest }).then((server) => {
      this.#server = server;
      return server;
    });
    return abortable(this.#asking, signal);
  }

  /** A server that failed is left in peace for a while, and asked anew what it is. */
  async #guarded<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.#problem !== undefined && performance.now() < this.#restUntil) throw this.#problem;
    try {
      const result = await work();
      this.#restMs = 0;
      this.#became(undefined);
      return result;
    } catch (error) {
      if (signal?.aborted) throw error;
      this.#forget();
      if (error instanceof EngineError && isOfEndpoint(error)) {
        const named = new EngineError(error.code, withoutKey(error.message.slice(error.code.length + 2), this.#key), {
          cause: error,
        });
        this.#restMs = Math.min(LONGEST_REST_MS, Math.max(FIRST_REST_MS, 2 * this.#restMs));
        this.#restUntil = performance.now() + this.#restMs;
        this.#became(named);
        throw named;
      }
      throw error;
    }
  }

  #forget(): void {
    this.#asking = undefined;
    this.#embedsFault = undefined;
  }

  #became(problem: EngineError | undefined): void {
    const isNews = problem?.message !== this.#problem?.message || this.#told !== this.#server;
    this.#problem = problem;
    this.#told = this.#server;
    if (isNews) this.#options.onChange?.();
  }

  #told: Server | undefined;
}

/** Calls back when nothing has come for too long. */
class Stall {
  readonly #onStall: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(onStall: () => void) {
    this.#onStall = onStall;
  }

  wait(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.#onStall, STALL_MS);
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

/** Some servers answer as a whole whatever is asked. */
async function* eventsOf(response: Response): AsyncGenerator<string> {
  if (response.body === null) return;
  if (response.headers.get("content-type")?.includes("application/json")) yield await response.text();
  else yield* serverEvents(response.body);
}

/** `work`, or the signal's reason; the work goes on for others. */
function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
