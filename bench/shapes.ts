// Readers of known sizes with random weights, for measuring speed alone; made once, in the user's cache folder.
import { access, mkdir } from "node:fs/promises";
import { join } from "node:path";
import envPaths from "env-paths";
import type { ReaderFiles } from "../engine/infer/reader.ts";
import { type Qwen2Shape, randomCheckpoint } from "../engine/pack/checkpoint.ts";
import { type KeyValueFormat, writeEmbedGraph, writeReaderGraph } from "../engine/pack/qwen2Graph.ts";
import { formatsOf, type ReaderFormat } from "../engine/pack/readerFormat.ts";

export const SHAPE_NAMES = ["60m", "0.5b", "1.5b"] as const;
export type ShapeName = (typeof SHAPE_NAMES)[number];

/** Room for the longest prompt measured and what is decoded after it. */
const COMMON = { kvHeads: 2, maxTokens: 2816, ropeTheta: 1_000_000, normEpsilon: 1e-6 };

/** 0.5B and 1.5B are Qwen2.5-Coder's; 60M is a reader of the size that LlavaCode's method suits on a laptop. */
export const SHAPES: Readonly<Record<ShapeName, Qwen2Shape>> = {
  "60m": { ...COMMON, layers: 12, heads: 8, headDim: 64, readerDim: 512, ffnDim: 1536, vocabSize: 16_384 },
  "0.5b": { ...COMMON, layers: 24, heads: 14, headDim: 64, readerDim: 896, ffnDim: 4864, vocabSize: 151_936 },
  "1.5b": { ...COMMON, layers: 28, heads: 12, headDim: 128, readerDim: 1536, ffnDim: 8960, vocabSize: 151_936 },
};

/** Changes when the graphs do, so that old ones are not taken for new. */
const GRAPH_VERSION = 2;

const SEED = 1;

/** The graphs of `name` in `format`, written at the first call. */
export async function randomReader(
  name: ShapeName,
  format: ReaderFormat,
  keyValues: KeyValueFormat = "float32",
): Promise<ReaderFiles> {
  const shape = SHAPES[name];
  const dir = join(envPaths("precis", { suffix: "" }).cache, "bench", folderOf(name, format, keyValues));
  await mkdir(dir, { recursive: true });
  const checkpoint = randomCheckpoint(SEED);
  await once(join(dir, "embed.onnx"), (file) => writeEmbedGraph(file, shape, checkpoint));
  const { prompts, tokens } = formatsOf(format);
  await once(join(dir, "reader.onnx"), (file) => writeReaderGraph(file, shape, checkpoint, prompts, keyValues));
  if (tokens) await once(join(dir, "tokens.onnx"), (file) => writeReaderGraph(file, shape, checkpoint, tokens));
  const { layers, kvHeads, headDim, readerDim, vocabSize, maxTokens } = shape;
  return {
    dir,
    manifest: {
      embed: { file: "embed.onnx" },
      reader: {
        file: "reader.onnx",
        ...(tokens && { tokensFile: "tokens.onnx" }),
        ...{ layers, kvHeads, headDim, readerDim, vocabSize, maxTokens },
      },
    },
  };
}

function folderOf(name: ShapeName, format: ReaderFormat, keyValues: KeyValueFormat): string {
  return `v${GRAPH_VERSION}-${name}-${format}${keyValues === "float32" ? "" : `-${keyValues}-kv`}`;
}

/** The graph's own file is written last, so that where it is, all is. */
async function once(file: string, write: (file: string) => Promise<void>): Promise<void> {
  const exists = await access(file).then(
    () => true,
    () => false,
  );
  if (exists) return;
  await write(file);
}
