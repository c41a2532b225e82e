// A checkpoint folder's config.json -> the decoder's shape and its tensors; what our graph cannot be is refused by name.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { EngineError, errnoOf, messageOf } from "../errors.ts";
import type { Qwen2Shape } from "./checkpoint.ts";
import { BLOCK } from "./matrices.ts";

export type Config = Readonly<Record<string, unknown>>;

export const EMBEDDING_TENSOR = "model.embed_tokens.weight";
const HEAD_TENSOR = "lm_head.weight";

/**
 * The shape with room for `maxTokens` positions. Throws `CHECKPOINT_INVALID` where config.json is not one, and
 * `CHECKPOINT_UNSUPPORTED` naming everything in it that the reader's graph has no place for.
 */
export async function readQwen2Shape(dir: string, maxTokens: number): Promise<Qwen2Shape> {
  const config = await readConfig(join(dir, "config.json"));
  const refused = refusalsOf(config, maxTokens);
  if (refused.length > 0) throw new EngineError("CHECKPOINT_UNSUPPORTED", `${dir}: ${refused.join("; ")}`);
  const number = (name: string) => numberOf(config, name, dir);
  const heads = number("num_attention_heads");
  const readerDim = number("hidden_size");
  const headDim = typeof config["head_dim"] === "number" ? config["head_dim"] : readerDim / heads;
  const shape: Qwen2Shape = {
    layers: number("num_hidden_layers"),
    heads,
    kvHeads: number("num_key_value_heads"),
    headDim,
    readerDim,
    ffnDim: number("intermediate_size"),
    vocabSize: number("vocab_size"),
    maxTokens,
    ropeTheta: ropeOf(config).theta ?? 10_000,
    normEpsilon: number("rms_norm_eps"),
    headTensor: config["tie_word_embeddings"] === true ? EMBEDDING_TENSOR : HEAD_TENSOR,
  };
  const odd = [readerDim, shape.ffnDim, heads * headDim].filter((width) => width % BLOCK !== 0);
  if (odd.length > 0) {
    throw new EngineError("CHECKPOINT_UNSUPPORTED", `${dir}: widths ${odd.join(", ")} are no multiples of ${BLOCK}`);
  }
  return shape;
}

/** Every tensor the graph reads, with its shape. */
export function tensorsOf(shape: Qwen2Shape): Map<string, readonly number[]> {
  const { layers, heads, kvHeads, headDim, readerDim, ffnDim, vocabSize } = shape;
  const tensors = new Map<string, readonly number[]>([
    [EMBEDDING_TENSOR, [vocabSize, readerDim]],
    [shape.headTensor ?? EMBEDDING_TENSOR, [vocabSize, readerDim]],
    ["model.norm.weight", [readerDim]],
  ]);
  for (let layer = 0; layer < layers; layer += 1) {
    const stem = `model.layers.${layer}`;
    for (const [part, count] of [
      ["q", heads],
      ["k", kvHeads],
      ["v", kvHeads],
    ] as const) {
      tensors.set(`${stem}.self_attn.${part}_proj.weight`, [count * headDim, readerDim]);
      tensors.set(`${stem}.self_attn.${part}_proj.bias`, [count * headDim]);
    }
    tensors.set(`${stem}.self_attn.o_proj.weight`, [readerDim, heads * headDim]);
    for (const part of ["gate", "up"]) tensors.set(`${stem}.mlp.${part}_proj.weight`, [ffnDim, readerDim]);
    tensors.set(`${stem}.mlp.down_proj.weight`, [readerDim, ffnDim]);
    for (const part of ["input_layernorm", "post_attention_layernorm"])
      tensors.set(`${stem}.${part}.weight`, [readerDim]);
  }
  return tensors;
}

/** config.json; throws `CHECKPOINT_INVALID` where there is none. */
export async function readConfig(file: string): Promise<Config> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    const why = errnoOf(error) === "ENOENT" ? "is missing" : `cannot be read: ${messageOf(error)}`;
    throw new EngineError("CHECKPOINT_INVALID", `${file} ${why}`, { cause: error });
  }
  let config: unknown;
  try {
    config = JSON.parse(text);
  } catch (error) {
    throw new EngineError("CHECKPOINT_INVALID", `${file} is not JSON: ${messageOf(error)}`, { cause: error });
  }
  if (typeof config !== "object" || config === null)
    throw new EngineError("CHECKPOINT_INVALID", `${file} is no JSON object`);
  return config as Config;
}

function refusalsOf(config: Config, maxTokens: number): string[] {
  const refused: string[] = [];
  const other = otherArchitectureOf(config);
  if (other !== undefined) return [`its architecture is ${other}; Qwen2ForCausalLM is supported`];
  const { kind } = ropeOf(config);
  if (kind !== "default") refused.push(`its rope scaling is ${kind}; none is supported`);
  if (config["use_sliding_window"] === true) refused.push("it attends through a sliding window");
  if (config["hidden_act"] !== undefined && config["hidden_act"] !== "silu")
    refused.push(`its activation is ${String(config["hidden_act"])}; silu is supported`);
  if (config["quantization_config"] !== undefined)
    refused.push("it is quantised already; give the checkpoint in bfloat16, float16 or float32");
  return [...refused, ...tooFew(config["max_position_embeddings"], maxTokens)];
}

export function tooFew(most: unknown, maxTokens: number): string[] {
  if (typeof most !== "number" || most >= maxTokens) return [];
  return [`it was trained for ${most} positions, ${maxTokens} were asked for`];
}

/** The name of an architecture that is not Qwen2's. */
export function otherArchitectureOf(config: Config): string | undefined {
  const architectures = Array.isArray(config["architectures"]) ? config["architectures"].map(String) : [];
  const architecture = architectures[0] ?? String(config["model_type"] ?? "none");
  const isOurs =
    architecture === "Qwen2ForCausalLM" || (architectures.length === 0 && config["model_type"] === "qwen2");
  return isOurs ? undefined : architecture;
}

/** Before transformers 5 in two fields, since then in one. */
export function ropeOf(config: Config): { kind: string; theta: number | undefined } {
  const rope = (config["rope_scaling"] ?? config["rope_parameters"] ?? {}) as Config;
  const kind = String(rope["rope_type"] ?? rope["type"] ?? "default");
  const theta = config["rope_theta"] ?? rope["rope_theta"];
  return { kind, theta: typeof theta === "number" ? theta : undefined };
}

/** Throws `CHECKPOINT_INVALID`. */
export function numberOf(config: Config, name: string, dir: string, file = "config.json"): number {
  const value = config[name];
  if (typeof value === "number" && value > 0) return value;
  throw new EngineError("CHECKPOINT_INVALID", `${join(dir, file)} has no number ${name}`);
}
