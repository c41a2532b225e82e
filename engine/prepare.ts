// The recipe of a prepared pack: a Qwen2-architecture checkpoint in Hugging Face's layout, or a stock ONNX export -> a pack
// folder with its graphs, its tokenizer and prompt formats, and another pack's encoder and fuser, since a reader alone finds
// nothing.
import { copyFile, mkdir, readFile, rename, rm, statfs, writeFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { EngineError, errnoOf } from "./errors.ts";
import { exists } from "./exists.ts";
import { CHUNKER_VERSION } from "./indexing/chunk.ts";
import { type ParityFile, recordGreedy } from "./infer/parity.ts";
import { loadTokenizer, type Tokenizer } from "./infer/tokenizer.ts";
import { loadLanguages } from "./languages/languages.ts";
import { describeFiles, openPack, type Pack, type PackManifest } from "./pack/pack.ts";
import { partialOf } from "./pack/partialFolders.ts";
import { FIM_TOKENS, promptOf, STOP_TOKENS } from "./pack/qwenPrompt.ts";
import type { ReaderFormat } from "./pack/readerFormat.ts";
import { openReaderSource, type ReaderSource } from "./pack/readerSource.ts";

export interface PrepareOptions {
  /** A folder with config.json, tokenizer.json and safetensors files, or with an ONNX export; or the export's .onnx file. */
  readonly source: string;
  /** The pack's folder; must not exist. */
  readonly out: string;
  readonly id: string;
  /** Of the weights; of an export, which of its graphs. */
  readonly format: ReaderFormat;
  /** Longest input plus output. */
  readonly maxTokens: number;
  /** Gives encoder and fuser. */
  readonly companion: Pack;
  /** The pack's name for a person; the folder's name when absent. */
  readonly title?: string;
  /** Where the checkpoint comes from, for the model card; the folder's name when absent. */
  readonly origin?: string;
  /** Told of each step, in words. */
  readonly onStep?: (step: string) => void;
}

/**
 * Throws `CHECKPOINT_INVALID`, `CHECKPOINT_UNSUPPORTED` or `DISK_FULL`, and leaves nothing behind then: the folder gets its
 * name when everything in it is written and the reader has answered once.
 */
export async function preparePack(options: PrepareOptions): Promise<Pack> {
  const { onStep = () => {} } = options;
  const out = resolve(options.out);
  const source = await openReaderSource(options.source, options.format, options.maxTokens);
  const partial = partialOf(out);
  try {
    const read = await readTokenizer(source.dir);
    if (await exists(out)) throw new EngineError("USAGE", `${out} exists; choose another folder with --out`);
    await mkdir(partial, { recursive: true });
    await checkRoom(partial, source.bytes);
    onStep(`token table of ${source.shape.vocabSize} rows`);
    await source.writeEmbed(join(partial, "embed.onnx"));
    onStep(`reader of ${source.shape.layers} layers in ${source.quantisation}`);
    await source.writeReader(join(partial, "reader.onnx"));
    await source.writeTokens?.(join(partial, TOKENS_FILE));
    await copyRest(partial, options, source);
    onStep("first answer of the reader");
    const files = { dir: partial, manifest: { embed: { file: "embed.onnx" }, reader: readerOf(source) } };
    const parity = await recordGreedy(files, read.tokenizer, await parityOf(options.companion));
    await writeFile(join(partial, "parity.json"), JSON.stringify(parity));
    onStep("sha256 of every file and of the weights");
    const reader = { ...readerOf(source), weights: await source.digest() };
    const manifest = await manifestOf(partial, options, source, reader, read);
    await writeFile(join(partial, "pack.json"), `${JSON.stringify(manifest, null, 2)}\n`);
    await openPack(partial);
    await rename(partial, out);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw isFull(error) ? new EngineError("DISK_FULL", `${dirname(out)} is full`, { cause: error }) : error;
  } finally {
    await source.close();
  }
  return openPack(out);
}

const TOKENS_FILE = "tokens.onnx";

/** A pack's id: the folder's name in letters that a manifest allows. */
export function idOf(source: string): string {
  return (
    basename(resolve(source), ".onnx")
      .replace(/[^a-zA-Z0-9._-]+/g, "-")
      .replace(/^[^a-zA-Z0-9]+/, "") || "qwen2"
  );
}

function readerOf({ shape, writeTokens }: ReaderSource): PackManifest["reader"] & { readonly architecture: "qwen2" } {
  const { layers, kvHeads, headDim, readerDim, vocabSize, maxTokens } = shape;
  const file = "reader.onnx";
  const tokens = writeTokens === undefined ? {} : { tokensFile: TOKENS_FILE };
  return { file, ...tokens, architecture: "qwen2", layers, kvHeads, headDim, readerDim, vocabSize, maxTokens };
}

export interface ReadTokenizer {
  readonly tokenizer: Tokenizer;
  /** Of the added tokens. */
  readonly names: ReadonlySet<string>;
  /** The largest id and one. */
  readonly vocabSize: number;
}

/** Throws `CHECKPOINT_INVALID` where there is none, `CHECKPOINT_UNSUPPORTED` where it cannot fill in the middle. */
export async function readTokenizer(source: string): Promise<ReadTokenizer> {
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

async function checkRoom(dir: string, needed: number): Promise<void> {
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

async function copyRest(dir: string, { companion, id, origin }: PrepareOptions, source: ReaderSource) {
  const { encoder, fuser, tokenizer } = companion.manifest;
  await copyFile(join(source.dir, "tokenizer.json"), join(dir, "tokenizer.json"));
  await copyFile(join(companion.dir, encoder.file), join(dir, "encoder.onnx"));
  await copyFile(join(companion.dir, encoder.tokenizer ?? tokenizer.file), join(dir, "encoder.tokenizer.json"));
  await copyFile(join(companion.dir, fuser.file), join(dir, "fuser.onnx"));
  if (await exists(join(source.dir, "LICENSE"))) await copyFile(join(source.dir, "LICENSE"), join(dir, "LICENSE"));
  const lines = [
    `# ${id}`,
    "",
    `Reader: ${origin ?? basename(resolve(source.dir))} (${source.files.join(", ")}), weights as ${source.quantisation}.`,
    ...(source.note === undefined ? [] : [source.note]),
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
  { id, companion, title }: PrepareOptions,
  source: ReaderSource,
  reader: PackManifest["reader"],
  { names, vocabSize }: ReadTokenizer,
): Promise<PackManifest> {
  const { encoder, fuser, chunking } = companion.manifest;
  return {
    schemaVersion: 1,
    id,
    version: "1.0.0",
    title: title ?? basename(resolve(source.dir)),
    licence: await licenceOf(source.dir),
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
    quantisation: source.quantisation,
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
