// A Qwen3-Embedding checkpoint folder -> the encoder's shape, and its tensors; what our graph cannot be is refused by name.
import { join } from "node:path";
import { EngineError } from "../errors.ts";
import { BLOCK } from "./matrices.ts";
import { type Config, numberOf, readConfig, ropeOf } from "./qwen2Config.ts";

/** A Qwen3-architecture trunk (arXiv 2505.09388): a norm on each head's query and key, no bias. */
export interface Qwen3Shape {
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Width of the residual stream, and of a vector. */
  readonly vectorDim: number;
  readonly ffnDim: number;
  readonly vocabSize: number;
  /** Positions the graph has room for. */
  readonly maxTokens: number;
  readonly ropeTheta: number;
  readonly normEpsilon: number;
}

/** Throws `CHECKPOINT_INVALID`, or `ENCODER_UNSUPPORTED` naming everything that the encoder's graph has no place for. */
export async function readQwen3Shape(dir: string, maxTokens: number): Promise<Qwen3Shape> {
  const config = await readConfig(join(dir, "config.json"));
  const refused = refusalsOf(config, maxTokens);
  if (refused.length > 0) throw new EngineError("ENCODER_UNSUPPORTED", `${dir}: ${refused.join("; ")}`);
  const number = (name: string) => numberOf(config, name, dir);
  const heads = number("num_attention_heads");
  const shape: Qwen3Shape = {
    layers: number("num_hidden_layers"),
    heads,
    kvHeads: number("num_key_value_heads"),
    headDim: typeof config["head_dim"] === "number" ? config["head_dim"] : number("hidden_size") / heads,
    vectorDim: number("hidden_size"),
    ffnDim: number("intermediate_size"),
    vocabSize: number("vocab_size"),
    maxTokens,
    ropeTheta: ropeOf(config).theta ?? 10_000,
    normEpsilon: number("rms_norm_eps"),
  };
  const odd = [shape.vectorDim, shape.ffnDim, heads * shape.headDim].filter((width) => width % BLOCK !== 0);
  if (odd.length > 0) {
    throw new EngineError("ENCODER_UNSUPPORTED", `${dir}: widths ${odd.join(", ")} are no multiples of ${BLOCK}`);
  }
  return shape;
}

function refusalsOf(config: Config, maxTokens: number): string[] {
  const kind = String(config["model_type"] ?? "none");
  if (kind !== "qwen3") return [`its architecture is ${kind}; an encoder must be qwen3 (Qwen3-Embedding)`];
  const refused: string[] = [];
  const rope = ropeOf(config).kind;
  if (rope !== "default") refused.push(`its rope scaling is ${rope}; none is supported`);
  if (config["use_sliding_window"] === true) refused.push("it attends through a sliding window");
  if (config["attention_bias"] === true) refused.push("its attention has biases");
  if (config["hidden_act"] !== undefined && config["hidden_act"] !== "silu")
    refused.push(`its activation is ${String(config["hidden_act"])}; silu is supported`);
  if (config["quantization_config"] !== undefined)
    refused.push("it is quantised already; give the checkpoint in bfloat16, float16 or float32");
  const most = config["max_position_embeddings"];
  if (typeof most === "number" && most < maxTokens)
    refused.push(`it was trained for ${most} positions, ${maxTokens} were asked for`);
  return refused;
}

/** Every tensor the graph reads, with its shape, named as in a checkpoint of the trunk alone. */
export function tensorsOf(shape: Qwen3Shape): Map<string, readonly number[]> {
  const { layers, heads, kvHeads, headDim, vectorDim, ffnDim, vocabSize } = shape;
  const tensors = new Map<string, readonly number[]>([
    ["embed_tokens.weight", [vocabSize, vectorDim]],
    ["norm.weight", [vectorDim]],
  ]);
  for (let layer = 0; layer < layers; layer += 1) {
    const stem = `layers.${layer}`;
    for (const [part, count] of [
      ["q", heads],
      ["k", kvHeads],
      ["v", kvHeads],
    ] as const)
      tensors.set(`${stem}.self_attn.${part}_proj.weight`, [count * headDim, vectorDim]);
    for (const part of ["q", "k"]) tensors.set(`${stem}.self_attn.${part}_norm.weight`, [headDim]);
    tensors.set(`${stem}.self_attn.o_proj.weight`, [vectorDim, heads * headDim]);
    for (const part of ["gate", "up"]) tensors.set(`${stem}.mlp.${part}_proj.weight`, [ffnDim, vectorDim]);
    tensors.set(`${stem}.mlp.down_proj.weight`, [vectorDim, ffnDim]);
    for (const part of ["input_layernorm", "post_attention_layernorm"])
      tensors.set(`${stem}.${part}.weight`, [vectorDim]);
  }
  return tensors;
}
