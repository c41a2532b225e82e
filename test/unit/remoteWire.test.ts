// The parts of the remote reader that need no server: addresses, events, pieces, and where a text ends.
import { describe, expect, it } from "vitest";
import type { GenerateOptions } from "../../engine/infer/models.ts";
import { endpointOf } from "../../engine/infer/remote/address.ts";
import { type Piece, parsePiece, requestBody } from "../../engine/infer/remote/completionWire.ts";
import { promptText } from "../../engine/infer/remote/promptText.ts";
import { serverEvents } from "../../engine/infer/remote/serverEvents.ts";
import { WrittenText } from "../../engine/infer/remote/writtenText.ts";
import type { Tokenizer } from "../../engine/infer/tokenizer.ts";
import { originOf } from "../../extension/readerOrigin.ts";

const SPECIALS = ["<|endoftext|>", "<|file_sep|>"];
/** One id a character; two special tokens from 1,000,000 on. */
const TOKENIZER: Tokenizer = {
  encode: (text) => Array.from(text, (character) => character.codePointAt(0) ?? 0),
  decode: (ids) => ids.map((id) => SPECIALS[id - 1_000_000] ?? String.fromCodePoint(id)).join(""),
  idOf: (token) => 1_000_000 + SPECIALS.indexOf(token),
  specialOf: (id) => SPECIALS[id - 1_000_000],
};

describe("an address", () => {
  it.each([
    ["http://gpu:8000", "http://gpu:8000/v1"],
    ["http://gpu:8000/", "http://gpu:8000/v1"],
    [" https://gpu.example/v1/ ", "https://gpu.example/v1"],
    ["https://gpu.example/llm/v1/completions", "https://gpu.example/llm/v1"],
  ])("%s", (setting, api) => {
    expect(endpointOf(setting, "")).toMatchObject({ api, root: api.slice(0, -3), model: undefined });
    expect(endpointOf(setting, " a ")?.model).toBe("a");
    expect(originOf(setting)).toBe(endpointOf(setting, "")?.origin);
  });

  it("is none when nothing is set", () => {
    expect(endpointOf("  ", "")).toBeUndefined();
    expect(originOf("")).toBeUndefined();
  });

  it.each([
    "gpu:8000",
    "ftp://gpu",
    "file:///etc/passwd",
    "http://me:secret@gpu",
    "http://gpu/v1?key=secret",
    "nonsense",
  ])("is refused by name, without its secrets: %s", (setting) => {
    const refused = () => endpointOf(setting, "");
    expect(refused).toThrow(/ENDPOINT_INVALID/);
    expect(refused).toThrow(/^(?!.*secret)/);
  });
});

async function events(...parts: (string | Uint8Array)[]): Promise<string[]> {
  async function* bytes() {
    for (const part of parts) yield typeof part === "string" ? new TextEncoder().encode(part) : part;
  }
  const list: string[] = [];
  for await (const event of serverEvents(bytes())) list.push(event);
  return list;
}

describe("server-sent events", () => {
  it("are the same however the bytes are cut", async () => {
    const stream = ': ping\r\n\r\ndata: {"a":"é🙂"}\r\n\r\nevent: x\nid: 1\ndata:two\ndata: lines\n\ndata: [DONE]\n\n';
    const whole = ['{"a":"é🙂"}', "two\nlines", "[DONE]"];
    expect(await events(stream)).toEqual(whole);
    const bytes = new TextEncoder().encode(stream);
    expect(await events(...Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(whole);
  });

  it("may lack the last empty line, or everything", async () => {
    expect(await events("data: 1\n\ndata: 2")).toEqual(["1", "2"]);
    expect(await events()).toEqual([]);
  });

  it("have an end", async () => {
    await expect(events("data: ".padEnd(5 * 2 ** 20, "x"))).rejects.toThrow(/ENDPOINT_FAILED.*no end/);
  });
});

describe("a piece", () => {
  it("is read from vLLM's and OpenAI's parallel lists", () => {
    const logprobs = {
      tokens: [" b"],
      token_logprobs: [-0.5],
      top_logprobs: [{ " b": -0.5, " a": -2 }],
      text_offset: [0],
    };
    const choice = { index: 0, text: " b", logprobs, finish_reason: "length", token_ids: [321] };
    expect(parsePiece(JSON.stringify({ choices: [choice] }))).toEqual({
      text: " b",
      tokens: [{ id: 321, logProb: -0.5, margin: 1.5, runnerUp: undefined }],
      finish: "length",
    });
  });

  it("is read from llama.cpp's list of tokens", () => {
    const top_logprobs = [
      { id: 321, logprob: -0.25 },
      { id: 282, logprob: -2.25 },
    ];
    const content = [{ id: 321, token: " b", bytes: [32, 98], logprob: -0.25, top_logprobs }];
    expect(
      parsePiece(JSON.stringify({ choices: [{ text: " b", logprobs: { content }, finish_reason: null }] })),
    ).toEqual({
      text: " b",
      tokens: [{ id: 321, logProb: -0.25, margin: 2, runnerUp: 282 }],
      finish: undefined,
    });
  });

  it("is none at the end and where usage is told", () => {
    expect(parsePiece("[DONE]")).toBeUndefined();
    expect(parsePiece('{"choices":[],"usage":{}}')).toBeUndefined();
  });

  it.each([
    ["{", /no JSON/],
    ['{"error":{"message":"out of memory"}}', /out of memory/],
    ['{"object":"list"}', /no choices/],
  ])("is refused: %s", (data, message) => {
    expect(() => parsePiece(data)).toThrow(message);
  });
});

const OPTIONS: GenerateOptions = { maxNewTokens: 40, maxLines: 1, stopTokens: [1_000_000, 1_000_001] };

function written(pieces: readonly Partial<Piece>[], options: Partial<GenerateOptions> = {}) {
  const text = new WrittenText(TOKENIZER, { ...OPTIONS, ...options });
  for (const piece of pieces) {
    const end = text.add({ text: "", tokens: [], finish: undefined, ...piece });
    if (end !== undefined) return { end, text: TOKENIZER.decode(text.result.tokens), ...text.result };
  }
  return { end: undefined, text: TOKENIZER.decode(text.result.tokens), ...text.result };
}

/** Each character a token with an id. */
const told = (text: string): Partial<Piece> => ({
  text,
  tokens: TOKENIZER.encode(text).map((id) => ({ id, logProb: -1, margin: 2, runnerUp: 7 })),
});

describe("what is written ends", () => {
  it("behind the token that completes the line, in the middle of a piece", () => {
    expect(written([told("\n  "), told("a\nb")])).toMatchObject({
      end: "lines",
      text: "\n  a\n",
      logProbs: Array(5).fill(-1),
    });
    expect(written([told("a\n\nb\nc")], { maxLines: 2 })).toMatchObject({ end: "lines", text: "a\n\nb\n" });
  });

  it("behind the piece, where the tokens are not told", () => {
    expect(written([{ text: "a\nb" }])).toMatchObject({ end: "lines", text: "a\nb", logProbs: [], margins: [] });
  });

  it("before a stop token, by its id or by its name", () => {
    const stop = { text: "", tokens: [{ id: 1_000_001, logProb: -1, margin: 1, runnerUp: 7 }], finish: "stop" };
    expect(written([told("ab"), stop])).toMatchObject({ end: "stop-token", text: "ab", logProbs: [-1, -1] });
    expect(written([{ text: "ab<|file" }, { text: "_sep|>c" }])).toMatchObject({ end: "stop-token", text: "ab" });
  });

  it("where the server says so, and at the budget", () => {
    expect(written([told("a"), { finish: "stop" }])).toMatchObject({ end: "stop-token", text: "a" });
    expect(written([told("a"), { finish: "length" }])).toMatchObject({ end: "max-tokens" });
    expect(written([told("abc")], { maxNewTokens: 2 })).toMatchObject({ end: "max-tokens", text: "ab" });
  });
});

it("writes ids of another tokenizer's as tokens of the pack", () => {
  expect(written([{ text: "é", tokens: [{ id: 7, logProb: -1, margin: undefined, runnerUp: 3 }] }])).toMatchObject({
    tokens: [233],
    logProbs: [-1],
    margins: [],
    runnersUp: [],
  });
});

it("keeps special tokens in a person's file text", () => {
  const ids = [1_000_001, ...TOKENIZER.encode("a <|file_sep|> b"), 1_000_000];
  expect(promptText(ids, TOKENIZER)).toBe("<|file_sep|>a < |file_sep|> b<|endoftext|>");
});

it("asks each server in its own words", () => {
  const stop = SPECIALS.map((name) => ({ id: TOKENIZER.idOf(name), name }));
  const wanted = { model: "m", maxTokens: 9, stop } as const;
  const common = { model: "m", max_tokens: 9, temperature: 0, stream: true, logprobs: 2 };
  expect(requestBody({ ...wanted, prompt: { kind: "ids", ids: [1, 2] } }, "vllm")).toEqual({
    ...common,
    prompt: [1, 2],
    add_special_tokens: false,
    stop_token_ids: [1_000_000, 1_000_001],
    return_token_ids: true,
    return_tokens_as_token_ids: true,
  });
  expect(requestBody({ ...wanted, prompt: { kind: "embeds", base64: "UEs=" } }, "vllm")).toMatchObject({
    prompt: "",
    prompt_embeds: "UEs=",
  });
  expect(requestBody({ ...wanted, prompt: { kind: "text", text: "a" } }, "vllm")).toMatchObject({
    prompt: "a",
    stop: SPECIALS,
    skip_special_tokens: false,
  });
  expect(requestBody({ ...wanted, prompt: { kind: "ids", ids: [1] } }, "llama.cpp")).toEqual({
    ...common,
    prompt: [1],
    stop: SPECIALS,
    cache_prompt: true,
  });
  // Nothing that OpenAI's own interface would refuse.
  const many = { ...wanted, stop: [...stop, ...stop, ...stop] };
  expect(requestBody({ ...many, prompt: { kind: "text", text: "a" } }, "openai")).toEqual({
    ...common,
    prompt: "a",
    stop: [...SPECIALS, ...SPECIALS],
  });
});
