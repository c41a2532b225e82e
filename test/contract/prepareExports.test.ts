// Stock ONNX exports become packs: Optimum's and transformers.js's, and those of onnxruntime-genai's model builder
// (test/fixtures/qwen2/export.py made them with the real exporters). Their graphs answer as `transformers` does and as the
// exports themselves do; what does not fit is refused by name, with nothing left behind.
import { cp, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { choose } from "../../engine/infer/choice.ts";
import { openDecoder } from "../../engine/infer/decoder.ts";
import { deviceGraph } from "../../engine/infer/deviceGraph.ts";
import { checkParity } from "../../engine/infer/parity.ts";
import { openRuntime } from "../../engine/infer/runtime.ts";
import { openSession, type Tensor } from "../../engine/infer/session.ts";
import { tokenRows } from "../../engine/infer/tokenRows.ts";
import { installationOf } from "../../engine/installation.ts";
import { findPack, openPack, type Pack, verifyPack } from "../../engine/pack/pack.ts";
import type { ReaderFormat } from "../../engine/pack/readerFormat.ts";
import { preparePack } from "../../engine/prepare.ts";

const EXPORTS = fileURLToPath(new URL("../fixtures/qwen2/exports", import.meta.url));
const { packsDir } = installationOf(new URL("../../engine/cli.ts", import.meta.url).href);
/** Of the largest logit. */
const TOLERANCE = 1e-3;
/** Of positions. */
const AGREEMENT = 0.999;
/** A prompt, single tokens and drafts over one cache. */
const SLICES = [100, ...Array.from({ length: 30 }, () => 1), 5, 3, 64];

interface Answers {
  /** By text and position: the best token and its logit. */
  readonly best: readonly (readonly number[])[];
  readonly logit: readonly (readonly number[])[];
  /** All logits of some rows of the first text. */
  readonly whole: readonly (readonly number[])[];
}

interface Expected {
  readonly ids: readonly (readonly number[])[];
  readonly pseudoTokens: readonly number[];
  readonly rows: readonly number[];
  readonly alone: Answers;
  readonly behind: Answers;
}

let dir: string;
let sources: string;
let companion: Pack;
let expected: Expected;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "precis-exports-"));
  sources = join(dir, "sources");
  for (const entry of await readdir(EXPORTS, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const from = join(entry.parentPath, entry.name);
    const to = join(sources, relative(EXPORTS, from).replace(/\.gz$/, ""));
    await mkdir(dirname(to), { recursive: true });
    await writeFile(to, gunzipSync(await readFile(from)));
  }
  for (const name of ["optimum", "genai-fp32", "genai-fp16", "genai-int4"])
    await cp(join(sources, "checkpoint/tokenizer.json"), join(sources, name, "tokenizer.json"));
  companion = await openPack(await findPack("auto", packsDir));
  expected = JSON.parse(await readFile(join(sources, "expected.json"), "utf8"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

function prepare(source: string, name: string, format: ReaderFormat = "fp32", maxTokens = 256): Promise<Pack> {
  return preparePack({ source, out: join(dir, name), id: name, format, maxTokens, companion });
}

/** Logits of every position of one text, read in slices over one cache. */
async function logitsOf(
  { dir: at, manifest }: Pack,
  ids: readonly number[],
  pseudoTokens: readonly number[],
  slices: readonly number[],
): Promise<Float32Array> {
  const { embed, reader: shape } = manifest;
  const { runtime } = await openRuntime(["cpu"], 1);
  const { session } = await openSession(join(at, embed.file), { ...runtime, inputs: [], outputs: [] });
  const { decoder } = await openDecoder(join(at, shape.file), shape, runtime);
  const embedded = await tokenRows(session, [...ids]);
  const rows = Float32Array.from([...pseudoTokens, ...embedded]).subarray(0, ids.length * shape.readerDim);
  const logits = new Float32Array(ids.length * shape.vocabSize);
  let from = 0;
  for (const slice of [...slices, ids.length]) {
    const count = Math.min(slice, ids.length - from);
    if (count === 0) break;
    const own = rows.subarray(from * shape.readerDim, (from + count) * shape.readerDim);
    logits.set(await decoder.read(own, [], count), from * shape.vocabSize);
    from += count;
  }
  await session.close();
  await decoder.close();
  return logits;
}

/** Largest difference as a share of the largest logit, and the share of positions with the same best token. */
async function compare(pack: Pack, place: "alone" | "behind"): Promise<{ worst: number; agreement: number }> {
  const { vocabSize } = pack.manifest.reader;
  const { best, logit, whole } = expected[place];
  const size = Math.max(...logit.flat().map(Math.abs));
  let worst = 0;
  let same = 0;
  for (const [n, ids] of expected.ids.entries()) {
    const logits = await logitsOf(pack, ids, place === "behind" ? expected.pseudoTokens : [], SLICES);
    const differ = (place: number, value: number) => {
      worst = Math.max(worst, Math.abs((logits[place] ?? Number.NaN) - value) / size);
    };
    for (const [row, token] of (best[n] ?? []).entries()) {
      if (choose(logits, row, vocabSize).token === token) same += 1;
      differ(row * vocabSize + token, logit[n]?.[row] ?? Number.NaN);
    }
    if (n > 0) continue;
    for (const [at, row] of expected.rows.entries())
      for (const [token, value] of (whole[at] ?? []).entries()) differ(row * vocabSize + token, value);
  }
  return { worst, agreement: same / expected.ids.flat().length };
}

describe("a pack of a stock export", () => {
  it.each([
    ["checkpoint", "checkpoint"],
    ["optimum", "optimum/onnx/model.onnx"],
    ["genai", "genai-fp32"],
  ])("answers as transformers does, alone and behind pseudo-tokens, over a cached decode: %s", async (name, source) => {
    const pack = await prepare(join(sources, source), name);
    expect(pack.manifest).toMatchObject({ quantisation: "fp32", modes: ["none", "full"] });
    for (const place of ["alone", "behind"] as const) {
      const { worst, agreement } = await compare(pack, place);
      expect(worst).toBeLessThan(TOLERANCE);
      expect(agreement).toBeGreaterThanOrEqual(AGREEMENT);
    }
  });

  it("in float16 answers nearly so, and gives and takes float32", async () => {
    const pack = await prepare(join(sources, "genai-fp16"), "half");
    expect(pack.manifest.quantisation).toBe("fp16");
    const { worst, agreement } = await compare(pack, "behind");
    expect(worst).toBeLessThan(0.02);
    expect(agreement).toBeGreaterThan(0.97);
  });

  it.each([
    ["genai-int4", "genai-int4/model.onnx", "q4"],
    ["transformers.js", "optimum/onnx/model_quantized.onnx", "int8"],
  ])("gives what the export itself gives: %s", async (name, file, quantisation) => {
    const pack = await prepare(join(sources, file), name);
    expect(pack.manifest.quantisation).toBe(quantisation);
    const ids = expected.ids[0] ?? [];
    const own = await logitsOf(pack, ids, [], []);
    const theirs = await stockLogits(join(sources, file), ids);
    expect(own).toHaveLength(theirs.length);
    const size = theirs.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expect(own.reduce((most, value, n) => Math.max(most, Math.abs(value - (theirs[n] ?? 0))), 0) / size).toBeLessThan(
      1e-5,
    );
  });

  it("is chosen among a folder's graphs by format, whole, hashed and answering its own samples", async () => {
    const pack = await prepare(join(sources, "optimum"), "chosen", "q8");
    expect(pack.manifest).toMatchObject({ quantisation: "int8", title: "optimum" });
    await verifyPack(pack.dir);
    expect((await checkParity(pack, ["cpu"])).samples).toBeGreaterThanOrEqual(4);
    const card = await readFile(join(pack.dir, "MODEL_CARD.md"), "utf8");
    expect(card).toContain("model_quantized.onnx");
    expect(card).toContain("rounded over all tokens of a run");
  });

  it.each(["optimum/onnx/model.onnx", "genai-int4"])(
    "can leave its keys and values on a device: %s",
    async (source) => {
      const pack = await prepare(join(sources, source), `device-${source.replaceAll("/", "-")}`);
      const { reader: shape, embed } = pack.manifest;
      const ids = (expected.ids[0] ?? []).slice(0, 40);
      const { runtime } = await openRuntime(["cpu"], 1);
      const options = { ...runtime, inputs: [], outputs: [] };
      const { session: embedding } = await openSession(join(pack.dir, embed.file), options);
      const { session } = await openSession(await deviceGraph(join(pack.dir, shape.file), shape), options);
      const rows = await tokenRows(embedding, ids);
      let past: Record<string, Tensor> = {};
      let logits = new Float32Array(0);
      for (const [from, until] of [
        [0, 30],
        [30, 31],
        [31, 40],
      ] as const) {
        const empty = { data: new Float32Array(0), dims: [1, shape.kvHeads, 0, shape.headDim] };
        const names = Array.from({ length: shape.layers }, (_, layer) => [`${layer}.key`, `${layer}.value`]).flat();
        const results = await session.run({
          inputs_embeds: {
            data: rows.subarray(from * shape.readerDim, until * shape.readerDim),
            dims: [1, until - from, shape.readerDim],
          },
          seqlens_k: { data: Int32Array.of(until - 1), dims: [1] },
          total_sequence_length: { data: Int32Array.of(until), dims: [] },
          logit_rows: { data: BigInt64Array.of(BigInt(until - from - 1)), dims: [1] },
          ...Object.fromEntries(names.map((name) => [`past_key_values.${name}`, past[`present.${name}`] ?? empty])),
        });
        const { logits: own, ...present } = results;
        logits = own?.data as Float32Array<ArrayBuffer>;
        past = present;
      }
      const whole = await logitsOf(pack, ids, [], []);
      const last = whole.subarray(39 * shape.vocabSize);
      const size = last.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      expect(
        last.reduce((most, value, n) => Math.max(most, Math.abs(value - (logits[n] ?? 0))), 0) / size,
      ).toBeLessThan(source === "genai-int4" ? 0.05 : TOLERANCE);
      await session.close();
      await embedding.close();
    },
  );
});

/** Of the export as it was published, over one run. */
async function stockLogits(file: string, ids: readonly number[]): Promise<Float32Array> {
  const { runtime } = await openRuntime(["cpu"], 1);
  const { session } = await openSession(file, { ...runtime, inputs: [], outputs: [] });
  const whole = (values: readonly number[]) => ({ data: BigInt64Array.from(values, BigInt), dims: [1, ids.length] });
  const empty: Tensor = { data: new Float32Array(0), dims: [1, 1, 0, 16] };
  const names = [0, 1].flatMap((layer) => [`${layer}.key`, `${layer}.value`]);
  const { logits } = await session.run({
    input_ids: whole(ids),
    attention_mask: whole(ids.map(() => 1)),
    ...(file.includes("optimum") ? { position_ids: whole(ids.map((_, n) => n)) } : {}),
    ...Object.fromEntries(names.map((name) => [`past_key_values.${name}`, empty])),
  });
  await session.close();
  return logits?.data as Float32Array;
}

describe("refuses of an export", () => {
  let source: string;
  let turn = 0;
  beforeEach(async () => {
    turn += 1;
    source = join(dir, `broken-${turn}`);
    await cp(join(sources, "genai-int4"), source, { recursive: true });
  });

  /** Same length, so that the file stays one. */
  async function rename(from: string, to: string): Promise<void> {
    const file = join(source, "model.onnx");
    const bytes = (await readFile(file)).toString("latin1").replaceAll(from, to);
    await writeFile(file, bytes, "latin1");
  }
  async function configure(change: (model: Record<string, Record<string, unknown>>) => void): Promise<void> {
    const file = join(source, "genai_config.json");
    const config = JSON.parse(await readFile(file, "utf8"));
    change(config.model);
    await writeFile(file, JSON.stringify(config));
  }

  it.each([
    ["another architecture", () => configure((model) => Object.assign(model, { type: "phi3" })), /phi3; Qwen2/],
    ["fewer positions", () => configure((m) => Object.assign(m, { context_length: 128 })), /for 128 positions, 256/],
    ["an unknown input", () => rename("attention_mask", "attention_musk"), /its input attention_musk is/],
    ["no embedding lookup", () => rename("GatherBlockQuantized", "GatherBlockQuantizet"), /no embedding lookup/],
    ["no cache", () => rename("past_key_values.1.key", "past_key_valuez.1.key"), /no input past_key_values\.1\.key/],
    ["no logits", () => rename("logits", "logitz"), /no output logits/],
    [
      "another width",
      () => configure((m) => Object.assign(m["decoder"] ?? {}, { num_key_value_heads: 2 })),
      /not \[1, 2, positions, 16\]/,
    ],
    [
      "more layers",
      () => configure((m) => Object.assign(m["decoder"] ?? {}, { num_hidden_layers: 3 })),
      /values\.2\.key/,
    ],
    ["another vocabulary", () => configure((m) => Object.assign(m, { vocab_size: 300 })), /288 columns.*says 300/],
  ] as const)("%s", async (_, damage, message) => {
    await damage();
    await expect(prepare(source, "never")).rejects.toMatchObject({
      code: "CHECKPOINT_UNSUPPORTED",
      message: expect.stringMatching(message),
    });
  });

  it.each([
    ["missing weights", () => rm(join(source, "model.onnx.data")), /model\.onnx\.data is missing/],
    ["weights cut short", () => truncate(join(source, "model.onnx.data"), 5000), /was cut short/],
    ["weights outside", () => rename("model.onnx.data", "../el.onnx.data"), /no file of its folder/],
    ["a graph cut short", () => truncate(join(source, "model.onnx"), 5000), /cut short/],
    ["a graph that is none", () => writeFile(join(source, "model.onnx"), "<html>404</html>"), /not an ONNX model/],
    ["a missing graph", () => rm(join(source, "model.onnx")), /config\.json is missing/],
    ["a missing tokenizer", () => rm(join(source, "tokenizer.json")), /tokenizer\.json is missing/],
    ["no configuration", () => rm(join(source, "genai_config.json")), /genai_config\.json is missing/],
  ] as const)("%s", async (_, damage, message) => {
    await damage();
    await expect(prepare(source, "never")).rejects.toMatchObject({
      code: "CHECKPOINT_INVALID",
      message: expect.stringMatching(message),
    });
  });

  it("a format that none of its graphs has", async () => {
    await expect(prepare(join(sources, "optimum"), "never", "int8-q4")).rejects.toMatchObject({
      code: "USAGE",
      message: expect.stringContaining("needs a checkpoint"),
    });
    await expect(prepare(join(sources, "optimum"), "never", "q4")).rejects.toMatchObject({
      code: "CHECKPOINT_UNSUPPORTED",
      message: expect.stringMatching(/model\.onnx, model_quantized\.onnx, none of them known to be q4/),
    });
  });

  it("nothing of what it left behind", async () => {
    expect((await readdir(dir)).filter((name) => /never|partial/.test(name))).toEqual([]);
  });
});
