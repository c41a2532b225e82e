// What a prepared pack's reader is made of: a checkpoint, of which our own graphs are built, or a stock export, whose graph is
// split at the embedding lookup.
import { readdir } from "node:fs/promises";
import { basename } from "node:path";
import { EngineError } from "../errors.ts";
import { findExport, quantisationOf, readExportShape } from "./exportFolder.ts";
import { constantBytes, constantsDigest, writeExportEmbed, writeExportReader } from "./exportGraph.ts";
import { type ExportShape, exportParts } from "./exportParts.ts";
import { readOnnxModel } from "./onnxModel.ts";
import { readQwen2Shape, tensorsOf } from "./qwen2Config.ts";
import { writeEmbedGraph, writeReaderGraph } from "./qwen2Graph.ts";
import { formatsOf, isMatrixFormat, type ReaderFormat } from "./readerFormat.ts";
import { openCheckpoint } from "./safetensors.ts";
import { graphBytes } from "./sizes.ts";

export interface ReaderSource {
  /** Holds tokenizer.json and what comes with it. */
  readonly dir: string;
  readonly shape: ExportShape;
  /** Names of the files that hold the weights. */
  readonly files: readonly string[];
  /** What the weights are in the pack. */
  readonly quantisation: string;
  /** What a person should know of it, for the model card. */
  readonly note?: string;
  /** That the graphs will take. */
  readonly bytes: number;
  /** sha256 of the weights as they were given. */
  digest(): Promise<string>;
  writeEmbed(file: string): Promise<void>;
  writeReader(file: string): Promise<void>;
  /** The reader again, for single tokens, where its format says so. */
  readonly writeTokens?: (file: string) => Promise<void>;
  close(): Promise<void>;
}

/** DynamicQuantizeLinear has one scale for all rows of a run. */
const ROUNDED_BY_RUN =
  "Its activations are rounded over all tokens of a run, so what it writes can hang on how a prompt was cut into runs; graphs in q4 do not.";

/**
 * `source` is a folder, or the .onnx file of an export. Throws `CHECKPOINT_INVALID` where something is missing or damaged, and
 * `CHECKPOINT_UNSUPPORTED` naming what does not fit.
 */
export async function openReaderSource(source: string, format: ReaderFormat, maxTokens: number): Promise<ReaderSource> {
  if (await hasCheckpoint(source)) return openBuilt(source, format, maxTokens);
  const { prompts } = formatsOf(format);
  const found = await findExport(source, prompts);
  if (found === undefined) return openBuilt(source, format, maxTokens);
  if (!isMatrixFormat(format))
    throw new EngineError("USAGE", `${source} has its weights once; ${format} needs a checkpoint`);
  return openSplit(found, maxTokens);
}

async function openBuilt(source: string, format: ReaderFormat, maxTokens: number): Promise<ReaderSource> {
  const shape = await readQwen2Shape(source, maxTokens);
  const checkpoint = await openCheckpoint(source);
  try {
    checkpoint.check(tensorsOf(shape));
  } catch (error) {
    await checkpoint.close();
    throw error;
  }
  const { prompts, tokens } = formatsOf(format);
  return {
    dir: source,
    shape,
    files: checkpoint.files,
    quantisation: format,
    bytes: graphBytes(shape, format),
    digest: () => checkpoint.digest(),
    writeEmbed: (file) => writeEmbedGraph(file, shape, checkpoint, prompts),
    writeReader: (file) => writeReaderGraph(file, shape, checkpoint, prompts),
    ...(tokens && { writeTokens: (file) => writeReaderGraph(file, shape, checkpoint, tokens) }),
    close: () => checkpoint.close(),
  };
}

async function openSplit({ dir, file }: { dir: string; file: string }, maxTokens: number): Promise<ReaderSource> {
  const shape = await readExportShape(dir, maxTokens);
  const model = await readOnnxModel(file);
  const parts = exportParts(model, shape);
  const quantisation = quantisationOf(model);
  return {
    dir,
    shape,
    files: [basename(file)],
    quantisation,
    ...(quantisation === "int8" ? { note: ROUNDED_BY_RUN } : {}),
    bytes: constantBytes(model),
    digest: () => constantsDigest(model),
    writeEmbed: (at) => writeExportEmbed(at, parts, shape),
    writeReader: (at) => writeExportReader(at, parts, shape),
    close: async () => {},
  };
}

async function hasCheckpoint(source: string): Promise<boolean> {
  const names = await readdir(source).catch(() => []);
  return names.some((name) => name.includes(".safetensors"));
}
