// A Qwen3-Embedding checkpoint in Hugging Face's layout becomes an encoder's graph whose vectors are those of `transformers`
// by the recipe of the model card (test/fixtures/qwen3Embedding/make.py).
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Vector } from "../../engine/domain.ts";
import { openEncoder, openVectorsEncoder } from "../../engine/infer/encoder.ts";
import { openRuntime } from "../../engine/infer/runtime.ts";
import { openStatesEncoder } from "../../engine/infer/statesEncoder.ts";
import { loadTokenizer } from "../../engine/infer/tokenizer.ts";
import type { MatrixFormat } from "../../engine/pack/matrices.ts";
import { prepareEncoder } from "../../engine/prepareEncoder.ts";

const STOCK = fileURLToPath(new URL("../fixtures/qwen3Embedding/stock", import.meta.url));
const TINY = fileURLToPath(new URL("../fixtures/qwen3Embedding/tiny", import.meta.url));

interface Expected {
  readonly maxTokens: number;
  readonly documents: readonly Sample[];
  readonly queries: readonly Sample[];
  readonly query: string;
}

interface Sample {
  readonly text: string;
  readonly vector: readonly number[];
}

let dir: string;
let expected: Expected;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "precis-encoder-"));
  expected = JSON.parse(await readFile(join(TINY, "expected.json"), "utf8"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

function cosine(a: Vector, b: readonly number[]): number {
  return a.reduce((sum, value, n) => sum + value * (b[n] ?? Number.NaN), 0);
}

const ENCODER = {
  name: "tiny",
  modality: "text",
  pooling: "last",
  maxTokens: 256,
  vectorDim: 32,
  after: ["<|endoftext|>"],
} as const;

/** Vectors of the expected texts: documents, then queries. */
async function vectorsOf(source: string, format: MatrixFormat, samples = expected): Promise<Vector[]> {
  const encoder = { ...ENCODER, instruction: expected.query };
  const out = await mkdtemp(join(dir, "out-"));
  const prepared = await prepareEncoder({ source, dir: out, encoder, format });
  const { runtime } = await openRuntime(["cpu"], 1);
  const tokenizer = await loadTokenizer(join(out, prepared.tokenizer));
  const opened = await openEncoder(
    { dir: out, manifest: { encoder: { ...encoder, ...prepared } } },
    tokenizer,
    runtime,
  );
  const documents = await opened.encoder.encode(
    samples.documents.map(({ text }) => text),
    "document",
  );
  const queries = await opened.encoder.encode(
    samples.queries.map(({ text }) => text),
    "query",
  );
  await opened.encoder.close();
  return [...documents, ...queries];
}

/** The least cosine of any text with what `transformers` gives. */
function leastCosine(vectors: readonly Vector[]): number {
  const samples = [...expected.documents, ...expected.queries];
  expect(vectors).toHaveLength(samples.length);
  return Math.min(...samples.map(({ vector }, n) => cosine(vectors[n] ?? new Float32Array(), vector)));
}

it.each([
  ["fp32", 0.999999],
  ["q8", 0.999],
  ["int8", 0.995],
  ["q4", 0.9],
] as const)(
  "in %s gives the vectors of transformers, of documents and of instructed queries",
  async (format, least) => {
    expect(leastCosine(await vectorsOf(TINY, format))).toBeGreaterThan(least);
  },
);

it("takes a checkpoint of a causal model, whose tensors have a prefix", async () => {
  const causal = join(dir, "causal");
  await cp(TINY, causal, { recursive: true });
  await rewriteHeader(join(causal, "model.safetensors"), (name) => `model.${name}`);
  expect(leastCosine(await vectorsOf(causal, "fp32"))).toBeGreaterThan(0.999999);
});

/** The file with other names for its tensors. */
async function rewriteHeader(file: string, rename: (name: string) => string): Promise<void> {
  const whole = await readFile(file);
  const length = Number(whole.readBigUInt64LE());
  const header: Record<string, unknown> = JSON.parse(whole.toString("utf8", 8, 8 + length));
  const { __metadata__, ...tensors } = header;
  const renamed = Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [rename(name), tensor]));
  const text = Buffer.from(JSON.stringify({ __metadata__, ...renamed }));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(text.length));
  await writeFile(file, Buffer.concat([prefix, text, whole.subarray(8 + length)]));
}

async function refusal(source: string, encoder: object = {}): Promise<unknown> {
  const out = await mkdtemp(join(dir, "out-"));
  const wanted = { source, dir: out, encoder: { ...ENCODER, ...encoder }, format: "fp32" } as const;
  return prepareEncoder(wanted).catch((error: unknown) => error);
}

it("refuses by name what it cannot be", async () => {
  const reader = fileURLToPath(new URL("../fixtures/qwen2/tiny", import.meta.url));
  expect(await refusal(reader)).toMatchObject({
    code: "ENCODER_UNSUPPORTED",
    message: expect.stringContaining("qwen2"),
  });
  expect(await refusal(TINY, { weights: "0".repeat(64) })).toMatchObject({ code: "ENCODER_FOREIGN" });
  expect(await refusal(TINY, { pooling: "mean" })).toMatchObject({ code: "ENCODER_UNSUPPORTED" });
  expect(await refusal(dir)).toMatchObject({
    code: "CHECKPOINT_INVALID",
    message: expect.stringContaining("safetensors"),
  });
});

/** As repositories of exports lie: the graph in a folder of its own, the tokenizer above it. */
async function stockExport(): Promise<string> {
  const folder = await mkdtemp(join(dir, "stock-"));
  await cp(STOCK, folder, { recursive: true });
  for (const name of ["config.json", "tokenizer.json"]) await cp(join(TINY, name), join(folder, name));
  return folder;
}

it("takes a stock export with a cache, from its folder and from its file", async () => {
  const folder = await stockExport();
  expect(leastCosine(await vectorsOf(folder, "q8"))).toBeGreaterThan(0.9999);
  expect(leastCosine(await vectorsOf(join(folder, "onnx/model.onnx"), "q8"))).toBeGreaterThan(0.9999);
});

it("says how a stock export is run, and refuses one of other widths", async () => {
  const folder = await stockExport();
  const out = await mkdtemp(join(dir, "out-"));
  const { file, states } = await prepareEncoder({ source: folder, dir: out, encoder: ENCODER, format: "q8" });
  expect(file).toBe("model.onnx");
  const past = { layers: 2, kvHeads: 1, headDim: 128 };
  expect(states).toEqual({ output: "last_hidden_state", positions: true, past });
  expect(await refusal(folder, { vectorDim: 64 })).toMatchObject({ code: "ENCODER_UNSUPPORTED" });
});

it("gives a batch the vectors of its texts alone", async () => {
  for (const source of [TINY, await stockExport()]) {
    const out = await mkdtemp(join(dir, "out-"));
    const prepared = await prepareEncoder({ source, dir: out, encoder: ENCODER, format: "fp32" });
    const { runtime } = await openRuntime(["cpu"], 1);
    const pack = { dir: out, manifest: { encoder: { ...ENCODER, ...prepared } } };
    const { graph } = await (prepared.states === undefined ? openVectorsEncoder : openStatesEncoder)(pack, runtime);
    const rows = [[5, 6, 7, 490], [490], [1, 2, 490]];
    const together = await graph.encodeRows(rows, 490);
    for (const [n, row] of rows.entries()) {
      const [alone] = await graph.encodeRows([row], 490);
      expect(cosine(together[n] ?? new Float32Array(), Array.from(alone ?? []))).toBeGreaterThan(0.99999);
    }
    await graph.close();
  }
});

it("tells queries from documents", async () => {
  const [sample = { text: "", vector: [] }] = expected.documents;
  const both = { ...expected, documents: [sample], queries: [sample] };
  const [asDocument, asQuery] = await vectorsOf(TINY, "fp32", both);
  expect(cosine(asDocument ?? new Float32Array(), Array.from(asQuery ?? []))).toBeLessThan(0.99);
});
