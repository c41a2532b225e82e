// A Qwen2 checkpoint in Hugging Face's layout becomes a pack: its graphs answer as `transformers` does, its tokenizer as
// `tokenizers` does (test/fixtures/qwen2/make.py), and what does not fit is refused by name, with nothing left behind.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cp, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { assemble } from "../../engine/completion/assemble.ts";
import { parseSettings } from "../../engine/config.ts";
import type { Candidate } from "../../engine/domain.ts";
import { startEngine } from "../../engine/engine.ts";
import { choose } from "../../engine/infer/choice.ts";
import { openDecoder } from "../../engine/infer/decoder.ts";
import { checkParity } from "../../engine/infer/parity.ts";
import { openRuntime } from "../../engine/infer/runtime.ts";
import { openSession } from "../../engine/infer/session.ts";
import { loadTokenizer } from "../../engine/infer/tokenizer.ts";
import { tokenRows } from "../../engine/infer/tokenRows.ts";
import { installationOf } from "../../engine/installation.ts";
import { findPack, listPacks, openPack, type Pack, verifyPack } from "../../engine/pack/pack.ts";
import type { ReaderFormat } from "../../engine/pack/readerFormat.ts";
import { preparePack } from "../../engine/prepare.ts";

const TINY = fileURLToPath(new URL("../fixtures/qwen2/tiny", import.meta.url));
const CLI = fileURLToPath(new URL("../../engine/cli.ts", import.meta.url));
const { packsDir, workers } = installationOf(new URL("../../engine/cli.ts", import.meta.url).href);
/** Of the largest logit. */
const TOLERANCE = 1e-5;

interface Answer {
  readonly best: readonly number[];
  /** Logits of the last three positions. */
  readonly last: readonly number[];
}

interface Expected {
  readonly ids: readonly number[];
  readonly pseudoTokens: readonly number[];
  readonly alone: Answer;
  readonly behind: Answer;
  readonly text: string;
  readonly textIds: readonly number[];
}

let dir: string;
let companion: Pack;
let expected: Expected;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "precis-prepare-"));
  companion = await openPack(await findPack("auto", packsDir));
  expected = JSON.parse(await readFile(join(TINY, "expected.json"), "utf8"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

function prepare(source: string, name: string, format: ReaderFormat = "fp32", maxTokens = 256): Promise<Pack> {
  return preparePack({ source, out: join(dir, name), id: name, format, maxTokens, companion });
}

/** Logits of every position, read in slices of these lengths over one cache. */
async function logitsOf(pack: Pack, pseudoTokens: readonly number[], slices: readonly number[]): Promise<Float32Array> {
  const { embed, reader: shape } = pack.manifest;
  const { runtime } = await openRuntime(["cpu"], 1);
  const { session } = await openSession(join(pack.dir, embed.file), { ...runtime, inputs: [], outputs: [] });
  const { decoder } = await openDecoder(join(pack.dir, shape.file), shape, runtime);
  const rows = Float32Array.from([...pseudoTokens, ...(await tokenRows(session, [...expected.ids]))]);
  const logits: number[] = [];
  let at = 0;
  for (const count of [...slices, rows.length / shape.readerDim - slices.reduce((sum, slice) => sum + slice, 0)]) {
    const own = rows.subarray(at * shape.readerDim, (at + count) * shape.readerDim);
    logits.push(...(await decoder.read(own, [], count)));
    at += count;
  }
  await session.close();
  await decoder.close();
  return Float32Array.from(logits);
}

const NOTHING_COPIED = { before: new Int32Array(), others: [], weights: [] };

describe("a prepared pack", () => {
  it.each([
    ["alone", []],
    ["behind", []],
    ["alone", [17, 1, 1, 5]],
    ["behind", [2, 20, 1]],
  ] as const)("answers as transformers does, %s, in slices %j and the rest", async (place, slices) => {
    const pack = await openPack(join(dir, "exact")).catch(() => prepare(TINY, "exact"));
    const logits = await logitsOf(pack, place === "behind" ? expected.pseudoTokens : [], slices);
    const { best, last } = expected[place];
    const { vocabSize } = pack.manifest.reader;
    expect(best.map((_, row) => choose(logits, row, vocabSize).token)).toEqual(best);
    const own = logits.subarray(logits.length - last.length);
    const size = Math.max(...last.map(Math.abs));
    expect(Math.max(...last.map((value, n) => Math.abs(value - (own[n] ?? Number.NaN)))) / size).toBeLessThan(
      TOLERANCE,
    );
  });

  it("has the checkpoint's tokenizer, whole and hashed files, and says what it is made of", async () => {
    const { manifest } = await verifyPack((await prepare(TINY, "named", "q4")).dir);
    const tokenizer = await loadTokenizer(join(dir, "named", manifest.tokenizer.file));
    expect(tokenizer.encode(expected.text, true)).toEqual(expected.textIds);
    expect(tokenizer.encode("<|fim_middle|>")).not.toContain(tokenizer.idOf("<|fim_middle|>"));
    for (const stop of manifest.prompt.stopTokens) expect(tokenizer.idOf(stop)).toBeGreaterThan(0);
    expect(manifest).toMatchObject({ id: "named", modes: ["none", "full"], quantisation: "q4", title: "tiny" });
    expect(manifest.projector).toBeUndefined();
    expect(await listPacks(dir)).toContain("named");
    expect((await readdir(dir)).filter((name) => name.includes("partial"))).toEqual([]);
  });

  it.each(["q4", "q8", "int8", "int8-q4"] as const)("in %s answers its own samples again", async (format) => {
    const { samples } = await checkParity(await prepare(TINY, `again-${format}`, format), ["cpu"]);
    // The companion's two graphs, the tokenizer's text and the reader's continuation.
    expect(samples).toBeGreaterThanOrEqual(4);
  });

  it("has weights twice where prompts and tokens want others", async () => {
    const { manifest } = await prepare(TINY, "twice", "int8-q4");
    expect(manifest).toMatchObject({
      quantisation: "int8-q4",
      reader: { file: "reader.onnx", tokensFile: "tokens.onnx" },
    });
    const bytes = (file: string) => manifest.files[`${file}.data`]?.bytes ?? 0;
    expect(bytes("tokens.onnx")).toBeGreaterThan(0);
    expect(bytes("tokens.onnx")).toBeLessThan(0.8 * bytes("reader.onnx"));
    await writeFile(join(dir, "twice", "tokens.onnx.data"), "");
    await expect(verifyPack(join(dir, "twice"))).rejects.toMatchObject({ code: "PACK_CORRUPT" });
  });

  it("indexes, retrieves and completes in the engine", async () => {
    const pack = await prepare(TINY, "engine", "q8", 2048);
    const settings = { ...parseSettings({}).settings, pack: pack.dir, "execution.providers": ["cpu"] };
    const engine = await startEngine({ packsDir, settings, workers });
    const root = fileURLToPath(new URL("../../samples/parcels", import.meta.url));
    const workspace = await engine.openWorkspace({ root, storeDir: join(dir, "store"), settings });
    expect((await workspace.index()).chunks).toBeGreaterThan(5);
    const text = "from parcels import tariff\n\n\ndef price(parcel):\n    return ";
    const cursor = { path: "new.py", text, offset: text.length };
    const full = await workspace.complete(cursor, { mode: "full", maxLines: 1 });
    expect(full).toMatchObject({ mode: "full" });
    expect(full.contextTokens).toBeGreaterThan(0);
    const instead = await workspace.complete(cursor, { mode: "compressed", maxLines: 1 });
    expect(instead).toMatchObject({ mode: "full", problems: [{ code: "MODE_FELL_BACK" }] });
    expect(instead.problems[0]?.detail).toContain("precis packs add");
    expect(engine.compressedFault).toContain("none is on this machine");
    workspace.close();
    await engine.close();
  });

  it("is asked in Qwen's formats: a file alone, and a file among others of its repository", async () => {
    const { dir: at, manifest } = await prepare(TINY, "asked", "q4");
    const tokenizer = await loadTokenizer(join(at, manifest.tokenizer.file));
    const prompt = { path: "a/b.py", prefix: "x = ", suffix: "\ny", query: "" };
    const node = { path: "c.py", text: "z = 1\n" } as Candidate["node"];
    const written = (candidates: readonly Candidate[], mode: "none" | "full") =>
      tokenizer.decode([
        ...assemble(
          prompt,
          candidates,
          mode,
          { names: [], copying: NOTHING_COPIED },
          {
            manifest,
            tokenizer,
            repository: "shop",
            pseudoTokensOf: () => new Map(),
          },
        ).input.tokens,
      ]);
    const alone = "<|fim_prefix|>x = <|fim_suffix|>\ny<|fim_middle|>";
    expect(written([], "none")).toBe(alone);
    expect(written([], "full")).toBe(alone);
    expect(written([{ node, score: 1, retriever: "recent" }], "full")).toBe(
      `<|repo_name|>shop\n<|file_sep|>c.py\nz = 1\n<|file_sep|>a/b.py\n${alone}`,
    );
  });
});

/** What test/fixtures/qwen2/tokens.py wrote. */
interface Tokens {
  readonly code: { readonly files: readonly string[]; readonly characters: number; readonly sha256: string };
  readonly ids: { readonly count: number; readonly sha256: string };
  readonly prompt: {
    readonly repository: string;
    readonly others: readonly (readonly [string, string])[];
    readonly path: string;
    readonly prefix: string;
    readonly suffix: string;
  };
  readonly file: readonly number[];
  readonly among: readonly number[];
}

describe("the tokenizer of Qwen's kind", () => {
  let tokens: Tokens;
  beforeAll(async () => {
    tokens = JSON.parse(await readFile(join(TINY, "tokens.json"), "utf8"));
  });
  const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

  it("gives a megabyte of code the ids that `tokenizers` gives it", async () => {
    const { files, characters, sha256: known } = tokens.code;
    const read = (file: string) => readFile(new URL(`../../node_modules/${file}`, import.meta.url), "utf8");
    const parts = await Promise.all(files.map(read));
    const text = parts.map((part) => part.slice(0, characters)).join("") + expected.text;
    expect(sha256(text), "the dependencies moved: run test/fixtures/qwen2/tokens.py again").toBe(known);
    expect(Buffer.byteLength(text)).toBeGreaterThan(1_000_000);
    const ids = (await loadTokenizer(join(TINY, "tokenizer.json"))).encode(text, true);
    expect({ count: ids.length, sha256: sha256(ids.join()) }).toEqual(tokens.ids);
  });

  it("renders both prompts to the ids of the published text, under the published numbers", async () => {
    const { dir: at, manifest } = await prepare(TINY, "rendered", "q4");
    const tokenizer = await loadTokenizer(join(at, manifest.tokenizer.file));
    const { path, prefix, suffix, repository, others } = tokens.prompt;
    const rendered = (candidates: readonly Candidate[]) => [
      ...assemble(
        { path, prefix, suffix, query: "" },
        candidates,
        "full",
        { names: [], copying: NOTHING_COPIED },
        {
          manifest,
          tokenizer,
          repository,
          pseudoTokensOf: () => new Map(),
        },
      ).input.tokens,
    ];
    // The best stands last.
    const candidates = others.map(([name, text], n) => {
      const node = { path: name, text } as Candidate["node"];
      return { node, score: n, retriever: "recent" };
    });
    expect(rendered([])).toEqual(tokens.file);
    expect(rendered(candidates.reverse())).toEqual(tokens.among);
    // QwenLM/Qwen2.5-Coder, README.md: the numbers of its special tokens, here counted from the first.
    const published = {
      "<|endoftext|>": 151643,
      "<|im_end|>": 151645,
      "<|fim_prefix|>": 151659,
      "<|fim_middle|>": 151660,
      "<|fim_suffix|>": 151661,
      "<|fim_pad|>": 151662,
      "<|repo_name|>": 151663,
      "<|file_sep|>": 151664,
    };
    const shift = published["<|endoftext|>"] - tokenizer.idOf("<|endoftext|>");
    for (const [token, id] of Object.entries(published)) expect(tokenizer.idOf(token) + shift).toBe(id);
    expect([...manifest.prompt.stopTokens].sort()).toEqual([...Object.keys(published), "<|im_start|>"].sort());
  });
});

describe("refuses", () => {
  let source: string;
  let turn = 0;
  beforeEach(async () => {
    turn += 1;
    source = join(dir, `broken-${turn}`);
    await cp(TINY, source, { recursive: true });
  });

  async function edit(file: string, change: (value: Record<string, unknown>) => void): Promise<void> {
    const value = JSON.parse(await readFile(join(source, file), "utf8"));
    change(value);
    await writeFile(join(source, file), JSON.stringify(value));
  }

  it.each([
    ["another architecture", { architectures: ["LlamaForCausalLM"] }, /LlamaForCausalLM/],
    ["rope scaling", { rope_scaling: { type: "yarn", factor: 4 } }, /rope scaling is yarn/],
    [
      "rope scaling as transformers 5 writes it",
      { rope_parameters: { rope_type: "llama3" } },
      /rope scaling is llama3/,
    ],
    ["a sliding window", { use_sliding_window: true }, /sliding window/],
    ["another activation", { hidden_act: "gelu" }, /activation is gelu/],
    ["weights quantised already", { quantization_config: { bits: 4 } }, /quantised already/],
    ["fewer positions than asked for", { max_position_embeddings: 128 }, /trained for 128 positions, 256/],
  ])("%s", async (_, fields, message) => {
    await edit("config.json", (config) => Object.assign(config, fields));
    await expect(prepare(source, "never")).rejects.toMatchObject({ code: "CHECKPOINT_UNSUPPORTED", message });
  });

  it("a tokenizer that cannot fill in the middle", async () => {
    await edit("tokenizer.json", (file) => {
      file["added_tokens"] = (file["added_tokens"] as { content: string }[]).filter(
        ({ content }) => !content.includes("fim"),
      );
    });
    await expect(prepare(source, "never")).rejects.toMatchObject({
      code: "CHECKPOINT_UNSUPPORTED",
      message: expect.stringMatching(/no token <\|fim_prefix\|>, <\|fim_suffix\|>, <\|fim_middle\|>/),
    });
  });

  it.each([
    ["a missing config", () => rm(join(source, "config.json")), /config\.json is missing/],
    ["a config without a width", () => edit("config.json", (c) => delete c["hidden_size"]), /no number hidden_size/],
    ["a missing tokenizer", () => rm(join(source, "tokenizer.json")), /tokenizer\.json is missing/],
    ["a missing shard", () => rm(join(source, "model-00002-of-00003.safetensors")), /00002-of-00003\S+ is missing/],
    ["a shard cut short", () => truncate(join(source, "model-00001-of-00003.safetensors"), 5000), /was cut short/],
    [
      "a shard that is none",
      () => writeFile(join(source, "model-00001-of-00003.safetensors"), "<html>404</html>"),
      /not a/,
    ],
    [
      "a shard of another checkpoint",
      () => edit("config.json", (c) => Object.assign(c, { vocab_size: 600 })),
      /not \[600,64\]/,
    ],
    [
      "a tensor that the index forgets",
      () => edit("model.safetensors.index.json", (index) => Object.assign(index, { weight_map: {} })),
      /is missing/,
    ],
    [
      "an index that leads out of the folder",
      () => edit("model.safetensors.index.json", (i) => Object.assign(i, { weight_map: { x: "../y.safetensors" } })),
      /no safetensors file of the folder/,
    ],
  ] as const)("%s", async (_, damage, message) => {
    await damage();
    await expect(prepare(source, "never")).rejects.toMatchObject({
      code: "CHECKPOINT_INVALID",
      message: expect.stringMatching(message),
    });
  });

  it("a folder that exists, and leaves it as it was", async () => {
    await prepare(TINY, "taken", "q4");
    await expect(prepare(TINY, "taken", "q4")).rejects.toMatchObject({ code: "USAGE" });
    await verifyPack(join(dir, "taken"));
  });

  // Windows has no `ulimit`.
  it.skipIf(process.platform === "win32")(
    "a file that grows beyond what the system lets it, and leaves nothing",
    async () => {
      const out = join(dir, "full");
      const command = `ulimit -f 100; exec "${process.execPath}" "${CLI}" packs prepare "${TINY}" --out "${out}" --format fp32`;
      const { status, stderr } = spawnSync("bash", ["-c", command], { encoding: "utf8" });
      expect(stderr).toMatch(/DISK_FULL: .* is full/);
      expect(status).toBe(1);
      expect((await readdir(dir)).filter((name) => name.startsWith("full"))).toEqual([]);
    },
  );

  it("nothing of what it left behind", async () => {
    expect((await readdir(dir)).filter((name) => /never|partial/.test(name))).toEqual([]);
  });
});
