// The reader on a server, against servers that answer as llama.cpp's and vLLM's do. What vLLM's writes is what the pack's own
// reader makes of the embeddings that came: so the whole way there and back is compared with the reader here.
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { ReaderInput } from "../../engine/domain.ts";
import { type LocalModels, startInferThread } from "../../engine/infer/inferThread.ts";
import type { GenerateOptions } from "../../engine/infer/models.ts";
import { endpointOf } from "../../engine/infer/remote/address.ts";
import { RemoteReader } from "../../engine/infer/remote/remoteReader.ts";
import { loadTokenizer, type Tokenizer } from "../../engine/infer/tokenizer.ts";
import { installationOf } from "../../engine/installation.ts";
import { findPack, openPack, type Pack } from "../../engine/pack/pack.ts";
import { Schedule } from "../../engine/schedule.ts";
import {
  type CompletionBody,
  type Fault,
  type ReaderServer,
  type ReaderServerOptions,
  startReaderServer,
  type Written,
} from "../readerServer.ts";
import { filesInZip } from "../zipFiles.ts";

const KEY = "sk-keep-this-to-yourself";
const LINE = "sum(line.price for line in self.lines)\n";

let pack: Pack;
let tokenizer: Tokenizer;
/** With a reader, and with none but its table of embeddings. */
let here: LocalModels;
let elsewhere: LocalModels;
let server: ReaderServer | undefined;
let changes: number;

beforeAll(async () => {
  const { packsDir, workers } = installationOf(new URL("../../engine/cli.ts", import.meta.url).href);
  pack = await openPack(await findPack("auto", packsDir));
  tokenizer = await loadTokenizer(join(pack.dir, pack.manifest.tokenizer.file));
  const start = async (isReaderRemote: boolean) => {
    const data = { packDir: pack.dir, providers: ["cpu"], threads: 1, isReaderRemote };
    return (await startInferThread({ workerUrl: workers.inference, data, schedule: new Schedule() })).models;
  };
  [here, elsewhere] = await Promise.all([start(false), start(true)]);
});
afterAll(async () => {
  await Promise.all([here.close(), elsewhere.close()]);
});
afterEach(async () => {
  await server?.close();
  server = undefined;
});

interface Opened {
  readonly reader: RemoteReader;
  readonly server: ReaderServer;
}

async function open(options: Partial<ReaderServerOptions> = {}, model = "", key?: string): Promise<Opened> {
  const started = await startReaderServer({
    dialect: "llama.cpp",
    tokenizer,
    write: async () => scripted(`${LINE}        return self\n`),
    ...options,
  });
  server = started;
  changes = 0;
  const endpoint = endpointOf(started.url, model);
  if (endpoint === undefined) throw new Error("no endpoint");
  const { manifest } = pack;
  const onChange = () => {
    changes += 1;
  };
  const rows: LocalModels["rows"] = (input, signal) => elsewhere.rows(input, signal);
  return { reader: new RemoteReader({ endpoint, tokenizer, manifest, rows, key, onChange }), server: started };
}

function scripted(text: string): Written[] {
  return tokenizer
    .encode(text)
    .map((id, n) => ({ id, text: tokenizer.decode([id]), logProb: -0.25 * (n + 1), second: -4, runnerUp: id + 1 }));
}

/** Ends with a token that is special. */
const PROMPT = "<|fim_prefix|>def area(w, h):\n    return <|fim_suffix|>\n<|fim_middle|>";

function inputOf(pseudoTokens: Float32Array = new Float32Array(0)): ReaderInput {
  return { pseudoTokens, tokens: Int32Array.from(tokenizer.encode(PROMPT, true)) };
}

function optionsOf(options: Partial<GenerateOptions> = {}): GenerateOptions {
  const stopTokens = pack.manifest.prompt.stopTokens.map(tokenizer.idOf);
  return { maxNewTokens: 48, maxLines: 1, stopTokens, ...options };
}

const generate = (reader: RemoteReader, options: Partial<GenerateOptions> = {}, signal?: AbortSignal) =>
  reader.generate(inputOf(), optionsOf(options), signal);

describe.each(["llama.cpp", "vllm"] as const)("a server that speaks as %s", (dialect) => {
  it("is sent the pack's token ids and stops with the line", async () => {
    const { reader, server } = await open({ dialect });
    const generation = await generate(reader);
    expect(tokenizer.decode(generation.tokens)).toBe(LINE);
    expect(generation).toMatchObject({ end: "lines", drafted: 0, reusedTokens: 0 });
    expect(reader.server).toMatchObject({ dialect, model: "coder", tokenizer: "same" });
    const [body] = server.completions();
    expect(body).toMatchObject({ model: "coder", temperature: 0, stream: true, max_tokens: 48 });
    expect(body?.prompt).toEqual(tokenizer.encode(PROMPT, true));
    // The server is told to stop: it has more to write.
    expect(server.events).toBeLessThanOrEqual(scripted(`${LINE}        return self\n`).length + 2);
  });

  it("gives log-probabilities and margins, if it has them", async () => {
    const { reader } = await open({ dialect });
    const generation = await generate(reader);
    expect(generation.logProbs).toEqual(generation.tokens.map((_, n) => -0.25 * (n + 1)));
    expect(generation.margins).toEqual(generation.logProbs.map((each) => Math.max(0, each + 4)));
    expect(generation.runnersUp).toEqual(generation.tokens.map((id) => id + 1));
    await server?.close();
    const { reader: silent } = await open({ dialect, tellsLogProbs: false });
    expect(await generate(silent)).toMatchObject({
      tokens: generation.tokens,
      logProbs: [],
      margins: [],
      runnersUp: [],
    });
  });

  it("ends at the server's stop token, at the budget, and over several lines", async () => {
    const stop = tokenizer.idOf("<|file_sep|>");
    const ending = [...scripted("a + b"), { id: stop, text: "<|file_sep|>", logProb: -1, second: -2, runnerUp: 9 }];
    const { reader } = await open({ dialect, write: async () => ending });
    const stopped = await generate(reader);
    expect([stopped.end, tokenizer.decode(stopped.tokens)]).toEqual(["stop-token", "a + b"]);
    const short = await generate(reader, { maxNewTokens: 2 });
    expect([short.end, short.tokens.length]).toEqual(["max-tokens", 2]);
    await server?.close();
    const { reader: longer } = await open({ dialect });
    const lines = await generate(longer, { maxLines: 2 });
    expect([lines.end, tokenizer.decode(lines.tokens)]).toEqual(["lines", `${LINE}        return self\n`]);
  });

  it("is sent text where its tokenizer is another", async () => {
    const other: Tokenizer = {
      ...tokenizer,
      encode: (text) => Array.from(text, (character) => character.charCodeAt(0)),
    };
    const { reader, server } = await open({ dialect, tokenizer: other });
    expect(tokenizer.decode((await generate(reader)).tokens)).toBe(LINE);
    expect(reader.server?.tokenizer).toBe("other");
    expect(server.completions()[0]).toMatchObject({ prompt: PROMPT, stop: expect.arrayContaining(["<|file_sep|>"]) });
  });

  it("is sent its key, and the key stands in no error", async () => {
    const { reader, server } = await open({ dialect, key: KEY });
    await expect(generate(reader)).rejects.toMatchObject({ code: "ENDPOINT_KEY" });
    expect(reader.problem?.action).toMatch(/Set Reader Endpoint Key/);
    reader.useKey("wrong");
    await expect(generate(reader)).rejects.toMatchObject({ code: "ENDPOINT_KEY" });
    reader.useKey(KEY);
    expect(await generate(reader)).toMatchObject({ end: "lines" });
    expect(reader.problem).toBeUndefined();
    expect(changes).toBeGreaterThanOrEqual(2);
    server.faults.push({ kind: "status", status: 500, body: JSON.stringify({ error: `no such key: ${KEY}` }) });
    await expect(generate(reader)).rejects.toThrow(/ENDPOINT_FAILED.*answered 500: no such key: \(key\)/);
    expect(JSON.stringify(reader.problem?.message)).not.toContain(KEY);
  });
});

describe("vLLM with --enable-prompt-embeds", () => {
  /** As the server does it: the saved tensor's rows go into the reader. */
  async function readEmbeds(body: CompletionBody): Promise<Written[]> {
    const files = filesInZip(Buffer.from(body.prompt_embeds ?? "", "base64"));
    const words = files.find(({ name }) => name === "data/0")?.content ?? Buffer.alloc(0);
    const rows = Float32Array.from({ length: words.length / 2 }, (_, n) => {
      const bits = new DataView(new ArrayBuffer(4));
      bits.setUint16(0, words.readUInt16LE(2 * n));
      return bits.getFloat32(0);
    });
    // The reader here wants a token at the end, and gets the one whose row is the last.
    const { readerDim } = pack.manifest.reader;
    const last = inputOf().tokens.slice(-1);
    const input = { pseudoTokens: rows.subarray(0, rows.length - readerDim), tokens: last };
    const untilBudget = { maxNewTokens: body.max_tokens, maxLines: Number.POSITIVE_INFINITY };
    const { tokens, logProbs, margins, runnersUp } = await here.generate(input, optionsOf(untilBudget));
    return tokens.map((id, n) => ({
      id,
      text: tokenizer.decode([id]),
      logProb: logProbs[n] ?? 0,
      second: (logProbs[n] ?? 0) - (margins[n] ?? 0),
      runnerUp: runnersUp[n] ?? 0,
    }));
  }

  it("reads pseudo-tokens and tokens as the reader here does", async () => {
    const { reader, server } = await open({ dialect: "vllm", takesEmbeds: true, write: readEmbeds });
    expect(await reader.usableMode("compressed")).toEqual({ mode: "compressed", problems: [] });
    const { readerDim } = pack.manifest.reader;
    const vectors = await here.encode(["def perimeter(w, h):\n    return 2 * (w + h)\n"], "indexing");
    const [pseudoTokens] = await here.project(vectors);
    const input = inputOf(pseudoTokens);
    // Few: embeddings travel in half precision, and what is written hangs on every choice before it.
    const options = optionsOf({ maxNewTokens: 6 });
    const [remote, local] = [await reader.generate(input, options), await here.generate(input, options)];
    expect(remote.tokens).toEqual(local.tokens);
    expect(remote.runnersUp).toHaveLength(local.tokens.length);
    // The server's kernels round otherwise.
    for (const [n, logProb] of remote.logProbs.entries())
      expect(Math.abs(logProb - (local.logProbs[n] ?? 0))).toBeLessThan(0.2);
    const [probe, body] = server.completions();
    expect(body).toMatchObject({ prompt: "", return_token_ids: true });
    const shapeOf = (each: CompletionBody | undefined) =>
      filesInZip(Buffer.from(each?.prompt_embeds ?? "", "base64")).find(({ name }) => name === "data/0")?.content
        .length;
    expect(shapeOf(probe)).toBe(2 * readerDim);
    expect(shapeOf(body)).toBe(2 * (input.pseudoTokens.length + readerDim * input.tokens.length));
  });

  it("is asked once whether it takes embeddings; without them compressed mode says why and is full", async () => {
    const { reader, server } = await open({ dialect: "vllm" });
    const first = await reader.usableMode("compressed");
    expect(first).toMatchObject({ mode: "full", problems: [{ code: "MODE_FELL_BACK" }] });
    expect(first.problems[0]?.detail).toMatch(/--enable-prompt-embeds/);
    expect(await reader.usableMode("compressed")).toEqual(first);
    expect(server.completions()).toHaveLength(1);
    expect(reader.problem).toBeUndefined();
    expect(await reader.usableMode("none")).toEqual({ mode: "none", problems: [] });
  });

  it("is sent none where its tokenizer is another, nor is llama.cpp", async () => {
    const other: Tokenizer = { ...tokenizer, encode: () => [1] };
    const { reader, server: vllm } = await open({ dialect: "vllm", takesEmbeds: true, tokenizer: other });
    expect((await reader.usableMode("compressed")).problems[0]?.detail).toMatch(/tokenizer/);
    expect(vllm.completions()).toHaveLength(0);
    await server?.close();
    const { reader: llama } = await open();
    expect((await llama.usableMode("compressed")).problems[0]?.detail).toMatch(/no vLLM/);
  });
});

describe("a fault", () => {
  const status = (status: number, body: string, headers: Record<string, string> = {}): Fault => ({
    kind: "status",
    status,
    body,
    headers,
  });

  it("404: the model is not there", async () => {
    const { reader } = await open({ dialect: "vllm", models: ["a", "b"] }, "c");
    await expect(generate(reader)).rejects.toThrow(/ENDPOINT_MODEL.*no model c; it lists a, b/);
    await server?.close();
    const { reader: gone, server: vllm } = await open({ dialect: "vllm" });
    await gone.survey();
    vllm.faults.push(
      status(404, JSON.stringify({ error: { message: "The model `coder` does not exist.", code: 404 } })),
    );
    await expect(generate(gone)).rejects.toMatchObject({ code: "ENDPOINT_MODEL" });
  });

  it("404: no such interface there; a redirect is not followed", async () => {
    const { reader, server } = await open();
    server.faults.push(status(404, "<html>nginx</html>"), status(302, "", { location: "http://127.0.0.1:1/steal" }));
    await expect(generate(reader)).rejects.toMatchObject({ code: "ENDPOINT_INVALID" });
    await reader.survey();
    await expect(generate(reader)).rejects.toThrow(/ENDPOINT_INVALID.*302/);
  });

  it.each([
    ["429 that says when", () => status(429, "{}", { "retry-after": "0" })],
    ["503", () => status(503, '{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}')],
    ["502", () => status(502, "")],
    ["a connection reset", (): Fault => ({ kind: "reset" })],
  ])("%s: asked again, and answered", async (_, fault) => {
    const { reader, server } = await open();
    server.faults.push(fault(), fault());
    expect(await generate(reader)).toMatchObject({ end: "lines" });
    expect(server.completions()).toHaveLength(3);
  });

  it.each([
    ["503 and again 503", () => status(503, "{}"), "ENDPOINT_BUSY", 3],
    ["429 for a long time", () => status(429, "{}", { "retry-after": "30" }), "ENDPOINT_BUSY", 1],
    ["429 that does not say when", () => status(429, "{}"), "ENDPOINT_BUSY", 1],
    ["500", () => status(500, "{}"), "ENDPOINT_FAILED", 1],
    ["400", () => status(400, '{"error":{"message":"maximum context length"}}'), "ENDPOINT_FAILED", 1],
    ["connections reset", (): Fault => ({ kind: "reset" }), "ENDPOINT_UNREACHABLE", 3],
    ["a reset in the middle", (): Fault => ({ kind: "reset", afterEvents: 2 }), "ENDPOINT_FAILED", 1],
    ["a stream that is cut", (): Fault => ({ kind: "truncated", afterEvents: 2 }), "ENDPOINT_FAILED", 1],
    ["no JSON", (): Fault => ({ kind: "event", afterEvents: 1, text: "data: {nonsense\n\n" }), "ENDPOINT_FAILED", 1],
    [
      "an error in the middle",
      (): Fault => ({ kind: "event", afterEvents: 1, text: 'data: {"error":{"message":"out of memory"}}\n\n' }),
      "ENDPOINT_FAILED",
      1,
    ],
  ] as const)(
    "%s: a named error after few attempts, and the next request is answered",
    async (_, fault, code, attempts) => {
      const { reader, server } = await open();
      await reader.survey();
      for (let n = 0; n < attempts; n += 1) server.faults.push(fault());
      await expect(generate(reader)).rejects.toMatchObject({ code, action: expect.stringMatching(/\w/) });
      expect(server.completions()).toHaveLength(attempts);
      // At once it is left in peace: the same error without a request.
      await expect(generate(reader)).rejects.toMatchObject({ code });
      expect(server.completions()).toHaveLength(attempts);
      expect(await reader.survey()).toMatchObject({ model: "coder" });
      expect(await generate(reader)).toMatchObject({ end: "lines" });
    },
  );

  it("nobody there", async () => {
    const { reader, server } = await open();
    await server.close();
    await expect(generate(reader)).rejects.toMatchObject({ code: "ENDPOINT_UNREACHABLE" });
    await expect(reader.usableMode("compressed")).rejects.toMatchObject({ code: "ENDPOINT_UNREACHABLE" });
  });
});

describe("cancelled", () => {
  it("in the middle, it answers what came and the server sees its client go", async () => {
    const { reader, server } = await open({ tokenMs: 40, write: async () => scripted("a ".repeat(40)) });
    await reader.survey();
    const aborter = new AbortController();
    const running = generate(reader, { maxLines: 9 }, aborter.signal);
    await until(() => server.events >= 3);
    aborter.abort(new Error("superseded"));
    const generation = await running;
    expect(generation.end).toBe("cancelled");
    expect(generation.tokens.length).toBeGreaterThanOrEqual(1);
    await until(() => server.disconnects === 1);
    expect(server.events).toBeLessThan(40);
    expect(reader.problem).toBeUndefined();
    expect(await generate(reader, { maxNewTokens: 3 })).toMatchObject({ end: "max-tokens" });
  });

  it("at its deadline, while the server is slow", async () => {
    const { reader, server } = await open();
    await reader.survey();
    server.faults.push({ kind: "slow", ms: 60_000 });
    expect(await generate(reader, {}, AbortSignal.timeout(100))).toMatchObject({ end: "cancelled", tokens: [] });
  });

  it("while the server asks for a pause, and before anything", async () => {
    const { reader, server } = await open();
    await reader.survey();
    server.faults.push({ kind: "status", status: 429, body: "{}", headers: { "retry-after": "2" } });
    expect(await generate(reader, {}, AbortSignal.timeout(100))).toMatchObject({ end: "cancelled" });
    expect(await generate(reader, {}, AbortSignal.abort())).toMatchObject({ end: "cancelled" });
    expect(server.completions()).toHaveLength(1);
  });
});

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
}
