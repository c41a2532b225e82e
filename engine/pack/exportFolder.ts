// The folders in which stock exports are published: transformers.js's (`onnx/model_q4.onnx` beside config.json), Optimum's
// (model.onnx), and onnxruntime-genai's (genai_config.json). Which of its graphs is meant, and what its configuration says.
import { readdir } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { EngineError, errnoOf } from "../errors.ts";
import type { ExportShape } from "./exportParts.ts";
import type { MatrixFormat } from "./matrices.ts";
import { TYPES } from "./onnxGraph.ts";
import { integerOf, type OnnxModel } from "./onnxModel.ts";
import { type Config, numberOf, otherArchitectureOf, readConfig, tooFew } from "./qwen2Config.ts";

export interface ExportFolder {
  /** Holds tokenizer and configuration. */
  readonly dir: string;
  /** The graph. */
  readonly file: string;
}

/** Names that transformers.js gives its variants. */
const VARIANTS: Readonly<Record<MatrixFormat, readonly string[]>> = {
  fp32: ["model.onnx"],
  q4: ["model_q4.onnx"],
  q8: ["model_quantized.onnx", "model_int8.onnx", "model_uint8.onnx"],
  int8: ["model_int8.onnx", "model_quantized.onnx", "model_uint8.onnx"],
};
const GENAI = "genai_config.json";

/**
 * The graph that `source`, a folder or an .onnx file, has in `format`; undefined for a folder without graphs. Throws
 * `CHECKPOINT_UNSUPPORTED` naming the graphs where none of several is in that format.
 */
export async function findExport(source: string, format: MatrixFormat): Promise<ExportFolder | undefined> {
  const path = resolve(source);
  if (path.endsWith(".onnx")) return { dir: rootOf(dirname(path)), file: path };
  for (const dir of [join(path, "onnx"), path]) {
    const names = (await namesIn(dir)).filter((name) => name.endsWith(".onnx"));
    const [only] = names;
    if (only === undefined) continue;
    const wanted = VARIANTS[format].find((name) => names.includes(name));
    const name = (await genaiGraph(dir)) ?? wanted ?? (names.length === 1 ? only : undefined);
    if (name !== undefined) return { dir: rootOf(dir), file: join(dir, name) };
    throw new EngineError(
      "CHECKPOINT_UNSUPPORTED",
      `${dir} has ${names.sort().join(", ")}, none of them known to be ${format}; give one of these files, or another --format`,
    );
  }
  return undefined;
}

/** The shape of the decoder. Throws `CHECKPOINT_INVALID` and `CHECKPOINT_UNSUPPORTED` as `readQwen2Shape` does. */
export async function readExportShape(dir: string, maxTokens: number): Promise<ExportShape> {
  const shape = (await namesIn(dir)).includes("config.json") ? await fromConfig(dir) : await fromGenai(dir);
  const { other, most, ...rest } = shape;
  const refused = other === undefined ? tooFew(most, maxTokens) : [`its architecture is ${other}; Qwen2 is supported`];
  if (refused.length > 0) throw new EngineError("CHECKPOINT_UNSUPPORTED", `${dir}: ${refused.join("; ")}`);
  return { ...rest, maxTokens };
}

type ReadShape = Omit<ExportShape, "maxTokens"> & { readonly other: string | undefined; readonly most: unknown };

async function fromConfig(dir: string): Promise<ReadShape> {
  const config = await readConfig(join(dir, "config.json"));
  const other = otherArchitectureOf(config);
  const number = (name: string) => numberOf(config, name, dir);
  const readerDim = number("hidden_size");
  return {
    other,
    most: config["max_position_embeddings"],
    layers: number("num_hidden_layers"),
    kvHeads: number("num_key_value_heads"),
    headDim: typeof config["head_dim"] === "number" ? config["head_dim"] : readerDim / number("num_attention_heads"),
    readerDim,
    vocabSize: number("vocab_size"),
  };
}

async function fromGenai(dir: string): Promise<ReadShape> {
  const model = ((await readConfig(join(dir, GENAI)))["model"] ?? {}) as Config;
  const decoder = (model["decoder"] ?? {}) as Config;
  const number = (name: string, of = decoder) => numberOf(of, name, dir, GENAI);
  return {
    other: model["type"] === "qwen2" ? undefined : String(model["type"] ?? "none"),
    most: model["context_length"],
    layers: number("num_hidden_layers"),
    kvHeads: number("num_key_value_heads"),
    headDim: number("head_size"),
    readerDim: number("hidden_size"),
    vocabSize: number("vocab_size", model),
  };
}

/** What a graph's weights are, as a manifest says it. */
export function quantisationOf({ nodes, constants }: OnnxModel): string {
  const kinds = new Set(nodes.map(({ kind }) => kind));
  const blocks = nodes.find(({ kind }) => kind === "MatMulNBits");
  if (blocks !== undefined) return `q${integerOf(blocks, "bits") ?? 4}`;
  if (kinds.has("MatMulInteger") || kinds.has("DynamicQuantizeMatMul")) return "int8";
  return [...constants.values()].some(({ type }) => type === TYPES.float16) ? "fp16" : "fp32";
}

/** The graph that genai_config.json names. */
async function genaiGraph(dir: string): Promise<string | undefined> {
  if (!(await namesIn(dir)).includes(GENAI)) return undefined;
  const model = (await readConfig(join(dir, GENAI)))["model"] as Config | undefined;
  const name = (model?.["decoder"] as Config | undefined)?.["filename"];
  if (typeof name === "string" && /^[\w.-]+\.onnx$/.test(name)) return name;
  throw new EngineError("CHECKPOINT_INVALID", `${join(dir, GENAI)} names no graph of its folder`);
}

function rootOf(dir: string): string {
  return basename(dir) === "onnx" ? dirname(dir) : dir;
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) return [];
    throw error;
  }
}
