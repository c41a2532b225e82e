// The recipe of a prepared pack: a Qwen2-architecture checkpoint in Hugging Face's layout -> a pack folder with our graphs,
// its tokenizer and prompt formats, and another pack's encoder and fuser, since a reader alone finds nothing.
import { copyFile, mkdir, readFile, rename, rm, stat, statfs, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { EngineError, errnoOf } from "./errors.ts";
import { CHUNKER_VERSION } from "./indexing/chunk.ts";
import { type ParityFile, recordGreedy } from "./infer/parity.ts";
import { loadTokenizer, type Tokenizer } from "./infer/tokenizer.ts";
import { loadLanguages } from "./languages/languages.ts";
import type { Qwen2Shape } from "./pack/checkpoint.ts";
import type { MatrixFormat } from "./pack/matrices.ts";
import { describeFiles, openPack, type Pack, type PackManifest } from "./pack/pack.ts";
import { readQwen2Shape, tensorsOf } from "./pack/qwen2Config.ts";
import { writeEmbedGraph, writeReaderGraph } from "./pack/qwen2Graph.ts";
import { FIM_TOKENS, promptOf, STOP_TOKENS } from "./pack/qwenPrompt.ts";
import { type CheckpointFolder, openCheckpoint } from "./pack/safetensors.ts";

export interface PrepareOptions {
  /** A folder with config.json, tokenizer.json and safetensors files. */
  readonly source: string;
  /** The pack's folder; must not exist. */
  readonly out: string;
  readonly id: string;
  readonly format: MatrixFormat;
  /** Longest input plus output. */
  readonly maxTokens: number;
  /** Gives encoder and fuser. */
  readonly companion: Pack;
  /** Told of each step, in words. */
  readonly onStep?: (step: string) => void;
}

/** Bytes a weight takes in each format, its share of a scale included. */
const WEIGHT_BYTES: Readonly<Record<MatrixFormat, number>> = { fp32: 4, q8: 1.125, q4: 0.625, int8: 1 };

/**
 * Throws `CHECKPOINT_INVALID`, `CHECKPOINT_UNSUPPORTED` or `DISK_FULL`, and leaves nothing behind then: the folder gets its
 * name when everything in it is written and the reader has answered once.
 */
export async function preparePack(options: PrepareOptions): Promise<Pack> {
  const { source, format, onStep = () => {} } = options;
  const out = resolve(options.out);
  const shape = await readQwen2Shape(source, options.maxTokens);
  const read = await readTokenizer(source);
  const checkpoint = await openCheckpoint(source);
  const partial = `${out}.partial-${process.pid}`;
  try {
    checkpoint.check(tensorsOf(shape));
    if (await exists(out)) throw new EngineError("USAGE", `${out} exists; choose another folder with --out`);
    await mkdir(partial, { recursive: true });
    await checkRoom(partial, shape, format);
    onStep(`token table of ${shape.vocabSize} rows`);
    await writeEmbedGraph(join(partial, "embed.onnx"), shape, checkpoint, format);
    onStep(`reader of ${shape.layers} layers in ${format}`);
    await writeReaderGraph(join(partial, "reader.onnx"), shape, checkpoint, format);
    await copyRest(partial, options, checkpoint);
    onStep("first answer of the reader");
    const files = { dir: partial, manifest: { embed: { file: "embed.onnx" }, reader: readerOf(shape) } };
    const parity = await recordGreedy(files, read.tokenizer, await parityOf(options.companion));
    await writeFile(join(partial, "parity.json"), JSON.stringify(parity));
    onStep("sha256 of every file and of the checkpoint");
    const manifest = await manifestOf(
      partial,
      options,
      { ...readerOf(shape), weights: await checkpoint.digest() },
      read,
    );
    await writeFile(join(partial, "pack.json"), `${JSON.stringify(manifest, null, 2)}\n`);
    await openPack(partial);
    await rename(partial, out);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw isFull(error) ? new EngineError("DISK_FULL", `${dirname(out)} is full`, { cause: error }) : error;
  } finally {
    await checkpoint.close();
  }
  return openPack(out);
}

/** A pack's id: the folder's name in letters that a manifest allows. */
export function idOf(source: string): string {
  return (
    basename(resolve(source))
      .replace(/[^a-zA-Z0-9._-]+/g, "-")
      .replace(/^[^a-zA-Z0-9]+/, "") || "qwen2"
  );
}

function readerOf(shape: Qwen2Shape): PackManifest["reader"] & { readonly architecture: "qwen2" } {
  const { layers, kvHeads, headDim, readerDim, vocabSize, maxTokens } = shape;
  const file = "reader.onnx";
  return { file, architecture: "qwen2", layers, kvHeads, headDim, readerDim, vocabSize, maxTokens };
}

interface ReadTokenizer {
  readonly tokenizer: Tokenizer;
  /** Of the added tokens. */
  readonly names: ReadonlySet<string>;
  /** The largest id and one. */
  readonly vocabSize: number;
}

async function readTokenizer(source: string): Promise<ReadTokenizer> {
  const file = join(source, "tokenizer.json");
  if (!(await exists(file))) throw new EngineError("CHECKPOINT_INVALID", `${file} is missing`);
  const tokenizer = await loadTokenizer(file);
  const { model, added_tokens: added = [] }: TokenizerFile = JSON.parse(await readFile(file, "utf8"));
  const names = new Set(added.map(({ content }) => content));
  const missing = FIM_TOKENS.filter((token) => !names.has(token));
  if (missing.length > 0) {
    throw new EngineError(
      "CHECKPOINT_UNSUPPORTED",
      `${file} has no token ${missing.join(", ")}: this reader was not trained to fill in the middle`,
    );
  }
  const ids = [...Object.values(model.vocab), ...added.map(({ id }) => id)];
  return { tokenizer, names, vocabSize: ids.reduce((most, id) => Math.max(most, id), 0) + 1 };
}

interface TokenizerFile {
  readonly model: { readonly vocab: Readonly<Record<string, number>> };
  readonly added_tokens?: readonly { readonly id: number; readonly content: string }[];
}

async function checkRoom(dir: string, shape: Qwen2Shape, format: MatrixFormat): Promise<void> {
  let weights = shape.vocabSize * shape.readerDim;
  for (const dims of tensorsOf(shape).values()) weights += dims.reduce((product, dim) => product * dim, 1);
  const needed = weights * WEIGHT_BYTES[format];
  const { bavail, bsize } = await statfs(dir);
  if (bavail * bsize > needed) return;
  const megabytes = (bytes: number) => `${Math.ceil(bytes / 1e6)} MB`;
  const free = megabytes(bavail * bsize);
  throw new EngineError("DISK_FULL", `the pack takes ${megabytes(needed)}, ${dirname(dir)} has ${free} left`);
}

/** Disk full, a person's quota, a limit on a file's size. */
function isFull(error: unknown): boolean {
  return ["ENOSPC", "EDQUOT", "EFBIG"].includes(errnoOf(error) ?? "");
}

async function copyRest(dir: string, { source, companion, id, format }: PrepareOptions, checkpoint: CheckpointFolder) {
  const { encoder, fuser, tokenizer } = companion.manifest;
  await copyFile(join(source, "tokenizer.json"), join(dir, "tokenizer.json"));
  await copyFile(join(companion.dir, encoder.file), join(dir, "encoder.onnx"));
  await copyFile(join(companion.dir, encoder.tokenizer ?? tokenizer.file), join(dir, "encoder.tokenizer.json"));
  await copyFile(join(companion.dir, fuser.file), join(dir, "fuser.onnx"));
  if (await exists(join(source, "LICENSE"))) await copyFile(join(source, "LICENSE"), join(dir, "LICENSE"));
  const lines = [
    `# ${id}`,
    "",
    `Reader: ${basename(resolve(source))} (${checkpoint.files.join(", ")}), weights as ${format}.`,
    `Encoder and fuser: ${companion.manifest.id} ${companion.manifest.version}.`,
    "Mode compressed needs a projector add-on that was trained for this reader.",
    "",
  ];
  await writeFile(join(dir, "MODEL_CARD.md"), lines.join("\n"));
}

async function parityOf(companion: Pack): Promise<Pick<ParityFile, "encoder" | "fuser">> {
  const { encoder, fuser }: ParityFile = JSON.parse(
    await readFile(join(companion.dir, companion.manifest.parity), "utf8"),
  );
  return { encoder, fuser };
}

async function manifestOf(
  dir: string,
  { source, id, format, companion }: PrepareOptions,
  reader: PackManifest["reader"],
  { names, vocabSize }: ReadTokenizer,
): Promise<PackManifest> {
  const { encoder, fuser, chunking } = companion.manifest;
  return {
    schemaVersion: 1,
    id,
    version: "1.0.0",
    title: basename(resolve(source)),
    licence: await licenceOf(source),
    modelCard: "MODEL_CARD.md",
    languages: (await loadLanguages()).all.map(({ name }) => name),
    modes: ["none", "full"],
    files: await describeFiles(dir),
    tokenizer: { file: "tokenizer.json", vocabSize },
    chunking: { version: CHUNKER_VERSION, maxTokens: chunking.maxTokens },
    embed: { file: "embed.onnx" },
    encoder: { ...encoder, file: "encoder.onnx", tokenizer: "encoder.tokenizer.json" },
    fuser: { ...fuser, file: "fuser.onnx" },
    reader,
    prompt: promptOf(
      reader.maxTokens,
      STOP_TOKENS.filter((token) => names.has(token)),
    ),
    quantisation: format,
    parity: "parity.json",
  };
}

/** From the front matter of the checkpoint's README, as the Hugging Face Hub has it. */
async function licenceOf(source: string): Promise<string> {
  const readme = join(source, "README.md");
  if (!(await exists(readme))) return "unknown";
  const [, front = ""] = /^---\n(.*?)\n---/s.exec(await readFile(readme, "utf8")) ?? [];
  return /^license: *(\S+)/m.exec(front)?.[1] ?? "unknown";
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
}
