// A server in this process that answers as llama.cpp's and vLLM's do: the same addresses, fields and order of fields, and the
// ways in which a server fails. What it writes is a script, or what the pack's own reader writes.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Tokenizer } from "../engine/infer/tokenizer.ts";

export interface Written {
  readonly id: number;
  readonly text: string;
  readonly logProb: number;
  /** Of the second-best token. */
  readonly second: number;
  readonly runnerUp: number;
}

export interface CompletionBody {
  readonly model: string;
  readonly prompt: string | readonly number[];
  readonly prompt_embeds?: string;
  readonly max_tokens: number;
  readonly stream?: boolean;
  readonly logprobs?: number;
  readonly stop?: readonly string[];
  readonly stop_token_ids?: readonly number[];
  readonly return_token_ids?: boolean;
  readonly return_tokens_as_token_ids?: boolean;
}

/** What a completion meets in place of an answer. */
export type Fault =
  | {
      readonly kind: "status";
      readonly status: number;
      readonly body: string;
      readonly headers?: Record<string, string>;
    }
  /** Before the head of the answer, or behind so many events. */
  | { readonly kind: "reset"; readonly afterEvents?: number }
  /** Ends as if nothing were missing. */
  | { readonly kind: "truncated"; readonly afterEvents: number }
  | { readonly kind: "event"; readonly afterEvents: number; readonly text: string }
  | { readonly kind: "slow"; readonly ms: number };

export interface ReaderServerOptions {
  readonly dialect: "llama.cpp" | "vllm";
  readonly tokenizer: Tokenizer;
  readonly write: (body: CompletionBody) => Promise<readonly Written[]>;
  readonly models?: readonly string[];
  readonly key?: string;
  readonly tls?: { readonly key: string; readonly cert: string };
  /** vLLM started with `--enable-prompt-embeds`. */
  readonly takesEmbeds?: boolean;
  /** False: no token has a log-probability. */
  readonly tellsLogProbs?: boolean;
  /** Between two tokens. */
  readonly tokenMs?: number;
}

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: unknown;
}

export interface ReaderServer {
  /** As the setting has it. */
  readonly url: string;
  readonly seen: readonly Seen[];
  /** Each is met by one completion, in order. */
  readonly faults: Fault[];
  /** Events of the last completion that were written before its client went away or it ended. */
  readonly events: number;
  /** Completions whose client went before their end, or that a fault cut. */
  readonly disconnects: number;
  completions(): readonly CompletionBody[];
  close(): Promise<void>;
}

export async function startReaderServer(options: ReaderServerOptions): Promise<ReaderServer> {
  const { models = ["coder"], tls } = options;
  const seen: Seen[] = [];
  const faults: Fault[] = [];
  const counts = { events: 0, disconnects: 0 };
  const listener = (request: IncomingMessage, response: ServerResponse) =>
    void answer(request, response).catch(() => response.destroy());
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const text = Buffer.concat(parts).toString();
    const body: unknown = text === "" ? undefined : JSON.parse(text);
    const path = request.url ?? "";
    seen.push({ method: request.method ?? "", path, headers: request.headers, body });
    // vLLM guards the interface's own addresses alone, llama.cpp all but the list of models.
    const isGuarded = options.dialect === "vllm" ? path.startsWith("/v1/") : path !== "/v1/models";
    if (options.key !== undefined && isGuarded && request.headers.authorization !== `Bearer ${options.key}`)
      return json(response, 401, { error: "Unauthorized" });
    if (path === "/v1/models") return json(response, 200, listing(models, options.dialect));
    if (path === "/tokenize") return json(response, 200, tokens(body, options));
    if (path === "/v1/completions") return complete(body as CompletionBody, response);
    return json(response, 404, { detail: "Not Found" });
  }

  async function complete(body: CompletionBody, response: ServerResponse): Promise<void> {
    let isGone = false;
    response.on("close", () => {
      if (response.writableFinished) return;
      isGone = true;
      counts.disconnects += 1;
    });
    const fault = faults.shift();
    if (fault?.kind === "slow") await sleep(fault.ms, undefined, { ref: false });
    if (fault?.kind === "status") {
      response.writeHead(fault.status, { "content-type": "application/json", ...fault.headers }).end(fault.body);
      return;
    }
    if (fault?.kind === "reset" && fault.afterEvents === undefined) {
      response.socket?.resetAndDestroy();
      return;
    }
    const refusal = refusalOf(body, models, options);
    if (refusal !== undefined) return json(response, refusal.code, { error: refusal });
    const written = await options.write(body);
    const events = eventsOf(body, written, options);
    if (body.stream !== true)
      return json(response, 200, { choices: [{ text: written.map((each) => each.text).join("") }] });
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.flushHeaders();
    counts.events = 0;
    for (const event of events) {
      if (options.tokenMs !== undefined) await sleep(options.tokenMs, undefined, { ref: false });
      if (isGone) return;
      if (fault !== undefined && "afterEvents" in fault && fault.afterEvents === counts.events) {
        if (fault.kind === "reset") {
          response.socket?.resetAndDestroy();
          return;
        }
        response.end(fault.kind === "event" ? fault.text : undefined);
        return;
      }
      response.write(`data: ${event}\n\n`);
      counts.events += 1;
    }
    response.end();
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}/v1`,
    seen,
    faults,
    get events() {
      return counts.events;
    },
    get disconnects() {
      return counts.disconnects;
    },
    completions: () => seen.filter(({ path }) => path === "/v1/completions").map(({ body }) => body as CompletionBody),
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

function listing(models: readonly string[], dialect: ReaderServerOptions["dialect"]): unknown {
  const created = 1795275955;
  return {
    object: "list",
    data: models.map((id) =>
      dialect === "vllm"
        ? {
            id,
            object: "model",
            created,
            owned_by: "vllm",
            root: id,
            parent: null,
            max_model_len: 32768,
            permission: [],
          }
        : { id, aliases: [id], tags: [], object: "model", created, owned_by: "llamacpp", meta: { n_ctx_train: 32768 } },
    ),
  };
}

/** llama.cpp's takes `content`, vLLM's `model` and `prompt`. */
function tokens(body: unknown, { dialect, tokenizer }: ReaderServerOptions): unknown {
  const { content, prompt } = body as { content?: string; prompt?: string };
  const ids = tokenizer.encode((dialect === "vllm" ? prompt : content) ?? "", true);
  if (dialect === "llama.cpp") return { tokens: ids };
  return { count: ids.length, max_model_len: 32768, tokens: ids, token_strs: null };
}

interface Refusal {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: number;
}

/** vLLM's words; llama.cpp answers with the one model it has, whatever it is asked for. */
function refusalOf(body: CompletionBody, models: readonly string[], options: ReaderServerOptions): Refusal | undefined {
  if (options.dialect === "llama.cpp") return undefined;
  if (!models.includes(body.model))
    return { message: `The model \`${body.model}\` does not exist.`, type: "NotFoundError", param: "model", code: 404 };
  if (body.prompt_embeds !== undefined && options.takesEmbeds !== true) {
    const message = "You must set `--enable-prompt-embeds` to input `prompt_embeds`.";
    return { message, type: "BadRequestError", param: "prompt_embeds", code: 400 };
  }
  return undefined;
}

/** The data of each event; what is written before a stop token, and whether one or the budget ended it. */
function eventsOf(body: CompletionBody, written: readonly Written[], options: ReaderServerOptions): string[] {
  const tellsLogProbs = options.tellsLogProbs !== false && body.logprobs !== undefined;
  const list = written.slice(0, body.max_tokens);
  const finish = written.length > body.max_tokens ? "length" : "stop";
  const events =
    options.dialect === "vllm"
      ? vllmEvents(body, list, finish, tellsLogProbs)
      : llamaEvents(body, list, finish, tellsLogProbs);
  return [...events.map((event) => JSON.stringify(event)), "[DONE]"];
}

function vllmEvents(body: CompletionBody, list: readonly Written[], finish: string, tellsLogProbs: boolean): unknown[] {
  let offset = 0;
  const name = (id: number, text: string) => (body.return_tokens_as_token_ids === true ? `token_id:${id}` : text);
  return list.map(({ id, text, logProb, second, runnerUp }, n) => {
    const isStop = body.stop_token_ids?.includes(id) === true;
    const logprobs = {
      text_offset: [offset],
      token_logprobs: [logProb],
      tokens: [name(id, text)],
      top_logprobs: [{ [name(id, text)]: logProb, [name(runnerUp, "other")]: second }],
    };
    offset += text.length;
    const isLast = n === list.length - 1;
    return {
      id: "cmpl-6f0a",
      object: "text_completion",
      created: 1795275955,
      model: body.model,
      choices: [
        {
          index: 0,
          // Its tokenizer leaves special tokens out of the text.
          text: isStop ? "" : text,
          logprobs: tellsLogProbs ? logprobs : null,
          finish_reason: isLast ? finish : null,
          stop_reason: isStop ? id : null,
          prompt_token_ids: null,
          token_ids: body.return_token_ids === true ? [id] : null,
        },
      ],
      usage: null,
    };
  });
}

function llamaEvents(
  body: CompletionBody,
  list: readonly Written[],
  finish: string,
  tellsLogProbs: boolean,
): unknown[] {
  const event = (text: string, logprobs: unknown, finish_reason: string | null) => ({
    choices: [{ text, index: 0, logprobs, finish_reason }],
    created: 1795275955,
    model: body.model,
    system_fingerprint: "b1-7e4c0a9",
    object: "text_completion",
    id: "chatcmpl-YLLRk1zLfG8JGzDJhCQ5bPypFHk61ri4",
  });
  const told = ({ id, text, logProb, second, runnerUp }: Written) => {
    const chosen = { id, token: text, bytes: [...Buffer.from(text)], logprob: logProb };
    const other = { id: runnerUp, token: "?", bytes: [63], logprob: second };
    return { content: [{ ...chosen, top_logprobs: [chosen, other] }] };
  };
  // Special tokens end it, and are no part of the text.
  const said = list.filter(({ text }) => body.stop?.includes(text) !== true);
  return [
    ...said.map((each) => event(each.text, tellsLogProbs ? told(each) : null, null)),
    {
      ...event("", null, finish),
      usage: { completion_tokens: said.length, prompt_tokens: 1, total_tokens: said.length + 1 },
    },
  ];
}
