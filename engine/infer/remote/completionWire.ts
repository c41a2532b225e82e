// The wire of `/v1/completions`: what is asked, in each server's words, and what comes back, piece by piece.
import { EngineError } from "../../errors.ts";
import { errorIn } from "./ask.ts";

/** Whose server it is, for what goes beyond OpenAI's interface; `openai` is any other. */
export type Dialect = "vllm" | "llama.cpp" | "openai";

/** What the reader reads: token ids where the server's tokenizer is the pack's, embeddings, else text. */
export type RemotePrompt =
  | { readonly kind: "ids"; readonly ids: readonly number[] }
  | { readonly kind: "text"; readonly text: string }
  /** Base64 of a saved tensor `[positions, readerDim]`. */
  | { readonly kind: "embeds"; readonly base64: string };

export interface Wanted {
  readonly model: string;
  readonly prompt: RemotePrompt;
  readonly maxTokens: number;
  readonly stop: readonly { readonly id: number; readonly name: string }[];
}

/** Most stop texts that OpenAI's own interface takes. */
const OPENAI_STOPS = 4;
/** One alternative beside the token chosen: by how much it leads is the margin. */
const LOG_PROBS = 2;

/** Greedy, streamed, with log-probabilities. */
export function requestBody({ model, prompt, maxTokens, stop }: Wanted, dialect: Dialect): Record<string, unknown> {
  const names = stop.map(({ name }) => name);
  const common = { model, max_tokens: maxTokens, temperature: 0, stream: true, logprobs: LOG_PROBS };
  switch (dialect) {
    case "vllm":
      return {
        ...common,
        ...vllmPrompt(prompt),
        // Otherwise its text leaves special tokens out, and a stop among them is never seen.
        ...(prompt.kind === "text"
          ? { stop: names, skip_special_tokens: false }
          : { stop_token_ids: stop.map(({ id }) => id), return_token_ids: true, return_tokens_as_token_ids: true }),
      };
    case "llama.cpp":
      return { ...common, prompt: plainPrompt(prompt), stop: names, cache_prompt: true };
    case "openai":
      return { ...common, prompt: plainPrompt(prompt), stop: names.slice(0, OPENAI_STOPS) };
  }
}

function vllmPrompt(prompt: RemotePrompt): Record<string, unknown> {
  // An empty text beside the embeddings is none, and every version and client takes it.
  if (prompt.kind === "embeds") return { prompt: "", prompt_embeds: prompt.base64 };
  return { prompt: plainPrompt(prompt), add_special_tokens: false };
}

function plainPrompt(prompt: RemotePrompt): string | readonly number[] {
  switch (prompt.kind) {
    case "ids":
      return prompt.ids;
    case "text":
      return prompt.text;
    case "embeds":
      throw new EngineError("ENDPOINT_FAILED", "only vLLM takes embeddings");
  }
}

/** A token as the server tells of it; what it leaves out is undefined. */
export interface RemoteToken {
  readonly id: number | undefined;
  readonly logProb: number | undefined;
  readonly margin: number | undefined;
  readonly runnerUp: number | undefined;
}

export interface Piece {
  readonly text: string;
  readonly tokens: readonly RemoteToken[];
  readonly finish: string | undefined;
}

/** One event, or a whole answer that was not streamed; undefined for the end's mark and for events without text. */
export function parsePiece(data: string): Piece | undefined {
  if (data === "[DONE]") return undefined;
  let json: unknown;
  try {
    json = JSON.parse(data);
  } catch (error) {
    throw new EngineError("ENDPOINT_FAILED", "the answer holds what is no JSON", { cause: error });
  }
  const fault = errorIn(json);
  if (fault !== undefined) throw new EngineError("ENDPOINT_FAILED", `the server broke off: ${fault}`);
  const choices = fieldOf(json, "choices");
  if (!Array.isArray(choices)) throw new EngineError("ENDPOINT_FAILED", "the answer has no choices");
  const choice: unknown = choices[0];
  // Usage comes in an event without a choice.
  if (choice === undefined) return undefined;
  const text = fieldOf(choice, "text");
  const finish = fieldOf(choice, "finish_reason");
  return {
    text: typeof text === "string" ? text : "",
    tokens: tokensOf(choice),
    finish: typeof finish === "string" ? finish : undefined,
  };
}

/** llama.cpp lists tokens under `content`, OpenAI and vLLM in parallel lists; vLLM's ids stand beside them. */
function tokensOf(choice: unknown): RemoteToken[] {
  const logProbs = fieldOf(choice, "logprobs");
  const content = fieldOf(logProbs, "content");
  if (Array.isArray(content)) {
    return content.map((entry: unknown) => {
      const top = listOf(fieldOf(entry, "top_logprobs")).map((each) => ({
        id: numberOf(fieldOf(each, "id")),
        logProb: numberOf(fieldOf(each, "logprob")),
      }));
      return tokenOf(numberOf(fieldOf(entry, "id")), numberOf(fieldOf(entry, "logprob")), top);
    });
  }
  const ids = listOf(fieldOf(choice, "token_ids")).map(numberOf);
  const chosen = listOf(fieldOf(logProbs, "token_logprobs")).map(numberOf);
  const tops = listOf(fieldOf(logProbs, "top_logprobs"));
  return Array.from({ length: Math.max(ids.length, chosen.length) }, (_, n) => {
    const top = tops[n];
    const others = Object.entries(typeof top === "object" && top !== null ? top : {});
    return tokenOf(
      ids[n],
      chosen[n],
      others.map(([name, logProb]) => ({ id: idIn(name), logProb: numberOf(logProb) })),
    );
  });
}

/** vLLM names tokens by their ids when asked to. */
function idIn(name: string): number | undefined {
  const [, id] = /^token_id:(\d+)$/.exec(name) ?? [];
  return id === undefined ? undefined : Number(id);
}

interface Choice {
  readonly id: number | undefined;
  readonly logProb: number | undefined;
}

/** The lead is the one over the best other token: a greedy choice is the first of the list, and once in it. */
function tokenOf(id: number | undefined, logProb: number | undefined, top: readonly Choice[]): RemoteToken {
  const [, second] = [...top].sort(
    (a, b) => (b.logProb ?? Number.NEGATIVE_INFINITY) - (a.logProb ?? Number.NEGATIVE_INFINITY),
  );
  const margin =
    logProb === undefined || second?.logProb === undefined ? undefined : Math.max(0, logProb - second.logProb);
  return { id, logProb, margin, runnerUp: second?.id };
}

export function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

export function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function numberOf(value: unknown): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}
