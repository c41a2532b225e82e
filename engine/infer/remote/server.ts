// What is known of the reader's server: whose it is, its model, whether it shares the pack's tokenizer, whether it takes
// embeddings. Asked once, with the requests each of them documents.
import { EngineError } from "../../errors.ts";
import type { PackManifest } from "../../pack/pack.ts";
import type { Tokenizer } from "../tokenizer.ts";
import type { Endpoint } from "./address.ts";
import { ask, askJson } from "./ask.ts";
import { type Dialect, fieldOf, listOf, requestBody } from "./completionWire.ts";

export interface Server {
  readonly dialect: Dialect;
  readonly model: string;
  /** All it lists. */
  readonly models: readonly string[];
  /** `same`: it gave the pack's ids for a sample. `unknown`: it cannot be asked. */
  readonly tokenizer: "same" | "other" | "unknown";
  /** Of the listing, over a connection that was open or not. */
  readonly latencyMs: number;
}

export interface ServerDeps {
  readonly endpoint: Endpoint;
  readonly key: string | undefined;
  readonly tokenizer: Tokenizer;
  readonly manifest: Pick<PackManifest, "prompt">;
}

/** By the `owned_by` of a listed model. */
const DIALECTS: Readonly<Record<string, Dialect>> = { vllm: "vllm", llamacpp: "llama.cpp" };

/** Throws an `ENDPOINT_…` error. */
export async function describeServer(deps: ServerDeps): Promise<Server> {
  const { endpoint, key } = deps;
  const at = performance.now();
  const listing = await askJson({ url: `${endpoint.api}/models`, key });
  const latencyMs = performance.now() - at;
  const listed = listOf(fieldOf(listing, "data"));
  const models = listed.map((model) => fieldOf(model, "id")).filter((id) => typeof id === "string");
  const [first] = models;
  if (first === undefined) throw new EngineError("ENDPOINT_INVALID", `${endpoint.api}/models lists no model`);
  const model = endpoint.model ?? first;
  if (!models.includes(model))
    throw new EngineError("ENDPOINT_MODEL", `${endpoint.host} has no model ${model}; it lists ${models.join(", ")}`);
  const owner = fieldOf(
    listed.find((each) => fieldOf(each, "id") === model),
    "owned_by",
  );
  const dialect = (typeof owner === "string" ? DIALECTS[owner] : undefined) ?? "openai";
  return { dialect, model, models, tokenizer: await compareTokenizers(deps, dialect, model), latencyMs };
}

/** Indents, a number, characters of two to four bytes: where tokenizers of one family differ. */
const SAMPLE = 'def area(w, h):\n    return {"größe": w * h, "名": 1024, "🙂": []}\n';

async function compareTokenizers(
  { endpoint, key, tokenizer, manifest }: ServerDeps,
  dialect: Dialect,
  model: string,
): Promise<Server["tokenizer"]> {
  const { prompt } = manifest;
  const text = (prompt[prompt.order] ?? prompt.psm).replace(/\{\w+\}/g, SAMPLE);
  const asking = {
    vllm: { model, prompt: text, add_special_tokens: false },
    "llama.cpp": { content: text, add_special: false, parse_special: true },
    openai: undefined,
  }[dialect];
  if (asking === undefined) return "unknown";
  try {
    const answer = await askJson({ url: `${endpoint.root}/tokenize`, body: asking, key });
    const ours = tokenizer.encode(text, true);
    return JSON.stringify(fieldOf(answer, "tokens")) === JSON.stringify(ours) ? "same" : "other";
  } catch (error) {
    // llama.cpp lists its models to anyone: here the key is asked for first.
    const isRefused = error instanceof EngineError && error.code === "ENDPOINT_KEY" && dialect === "llama.cpp";
    // Behind a proxy that lets the interface's own addresses through alone.
    if (error instanceof EngineError && !error.retry && !isRefused) return "unknown";
    throw error;
  }
}

/** Undefined when it takes embeddings, else why not. Throws when the server cannot be asked. */
export async function embedsFault(
  { endpoint, key }: Pick<ServerDeps, "endpoint" | "key">,
  { dialect, model, tokenizer }: Server,
  tensor: () => Promise<Buffer>,
): Promise<string | undefined> {
  if (dialect !== "vllm") return `${endpoint.host} is no vLLM server; no other takes embeddings`;
  if (tokenizer !== "same")
    return `${model} has not the tokenizer of the chosen pack, so its embeddings are not the pack's`;
  const prompt = { kind: "embeds", base64: (await tensor()).toString("base64") } as const;
  const body = { ...requestBody({ model, prompt, maxTokens: 1, stop: [] }, dialect), stream: false };
  try {
    await (await ask({ url: `${endpoint.api}/completions`, body, key })).body?.cancel();
    return undefined;
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== "ENDPOINT_FAILED") throw error;
    return error.message.slice(error.code.length + 2);
  }
}
