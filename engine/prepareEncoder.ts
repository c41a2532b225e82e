// The encoder of an add-on that only names it: made of a checkpoint in Hugging Face's layout, or taken from a stock export.
import { copyFile, readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { EngineError } from "./errors.ts";
import { openRuntime } from "./infer/runtime.ts";
import { type GraphSlot, openSession, type Session } from "./infer/session.ts";
import type { AddOnManifest } from "./pack/addOn.ts";
import type { Checkpoint } from "./pack/checkpoint.ts";
import type { MatrixFormat } from "./pack/matrices.ts";
import { sizeOf } from "./pack/pack.ts";
import { readQwen3Shape, tensorsOf } from "./pack/qwen3Config.ts";
import { writeEncoderGraph } from "./pack/qwen3Graph.ts";
import { openCheckpoint } from "./pack/safetensors.ts";

type Encoder = AddOnManifest["encoder"];

export interface PrepareEncoderOptions {
  /** A folder with safetensors or an ONNX export, or the file of one; with its config.json and tokenizer.json. */
  readonly source: string;
  /** Where the encoder's files are written. */
  readonly dir: string;
  /** What the add-on says of it. */
  readonly encoder: Encoder;
  /** Of a checkpoint's matrices; a stock export stays as it is. */
  readonly format: MatrixFormat;
}

/** What a manifest says of the files that were written. */
export type PreparedEncoder = Required<Pick<Encoder, "file" | "tokenizer">> & Pick<Encoder, "states">;

const TOKENIZER = "encoder.tokenizer.json";
/** Where exports for other runtimes lie, the exact one first. */
const EXPORTS = ["onnx/model.onnx", "model.onnx", "onnx/model_quantized.onnx", "model_quantized.onnx"] as const;

/** Throws `CHECKPOINT_INVALID`, `ENCODER_UNSUPPORTED`, or `ENCODER_FOREIGN` for another encoder's checkpoint. */
export async function prepareEncoder(options: PrepareEncoderOptions): Promise<PreparedEncoder> {
  const { source, dir } = options;
  const exported = await exportIn(source);
  const prepared = exported === undefined ? await ofCheckpoint(options) : await ofExport(exported, options);
  await copyFile(await tokenizerBeside(exported ?? join(source, "config.json")), join(dir, TOKENIZER));
  return { ...prepared, tokenizer: TOKENIZER };
}

type PreparedGraph = Omit<PreparedEncoder, "tokenizer">;

async function ofCheckpoint({ source, dir, encoder, format }: PrepareEncoderOptions): Promise<PreparedGraph> {
  const shape = await readQwen3Shape(source, encoder.maxTokens);
  if (encoder.pooling !== "last")
    throw new EngineError("ENCODER_UNSUPPORTED", `${encoder.name} pools by ${encoder.pooling}; our graph, by last`);
  const checkpoint = await openCheckpoint(source);
  try {
    // A checkpoint of the trunk alone has no prefix, one of a causal model has.
    const prefix = checkpoint.has("model.embed_tokens.weight") ? "model." : "";
    checkpoint.check(new Map([...tensorsOf(shape)].map(([name, dims]) => [prefix + name, dims])));
    const digest = encoder.weights === undefined ? undefined : await checkpoint.digest();
    if (digest !== encoder.weights)
      throw new EngineError(
        "ENCODER_FOREIGN",
        `${source} is not the checkpoint of ${encoder.name}: its tensors differ`,
      );
    const trunk: Checkpoint = { read: (name, from, count) => checkpoint.read(prefix + name, from, count) };
    await writeEncoderGraph(join(dir, "encoder.onnx"), shape, trunk, format);
  } finally {
    await checkpoint.close();
  }
  return { file: "encoder.onnx" };
}

async function ofExport(file: string, { dir, encoder }: PrepareEncoderOptions): Promise<PreparedGraph> {
  const { runtime } = await openRuntime(["cpu"], 1);
  const { session } = await openSession(file, { ...runtime, inputs: [], outputs: [] });
  const states = statesOf(session, file, encoder);
  await session.close();
  // Graphs name the files of their large constants, so all keep their names.
  const name = basename(file);
  for (const each of await readdir(dirname(file)))
    if (each === name || each.startsWith(`${name}_data`) || each.startsWith(`${name}.data`))
      await copyFile(join(dirname(file), each), join(dir, each));
  return { file: name, states };
}

/** How a stock export is run; throws where it is none of an encoder. */
function statesOf({ graph }: Session, file: string, { vectorDim }: Encoder): NonNullable<Encoder["states"]> {
  const refuse = (why: string) => new EngineError("ENCODER_UNSUPPORTED", `${file}: ${why}`);
  const output = graph.outputs.find(({ dims }) => dims.length === 3 && dims[2] === vectorDim);
  if (output === undefined) throw refuse(`no output gives every token's state, [n, t, ${vectorDim}]`);
  const isToken = ({ name }: GraphSlot) => ["input_ids", "attention_mask", "position_ids"].includes(name);
  const past = graph.inputs.filter(({ name }) => /^past_key_values\.\d+\.(key|value)$/.test(name));
  const unknown = graph.inputs.filter((slot) => !isToken(slot) && !past.includes(slot));
  if (unknown.length > 0) throw refuse(`it wants ${unknown.map(({ name }) => name).join(", ")}, which nothing gives`);
  const odd = [...past, output].find(({ type }) => type !== "float32");
  if (odd !== undefined)
    throw refuse(`${odd.name} is ${odd.type}; take an export whose inputs and outputs are float32`);
  const [kvHeads, headDim] = [past[0]?.dims[1], past[0]?.dims[3]];
  return {
    output: output.name,
    ...(graph.inputs.some(({ name }) => name === "position_ids") ? { positions: true } : {}),
    ...(typeof kvHeads === "number" && typeof headDim === "number"
      ? { past: { layers: past.length / 2, kvHeads, headDim } }
      : {}),
  };
}

/** An ONNX file that is given, or lies in the folder where there are no safetensors. */
async function exportIn(source: string): Promise<string | undefined> {
  if (source.endsWith(".onnx")) return source;
  for (const name of ["model.safetensors", "model.safetensors.index.json"])
    if ((await sizeOf(join(source, name))) !== undefined) return undefined;
  for (const name of EXPORTS) if ((await sizeOf(join(source, name))) !== undefined) return join(source, name);
  throw new EngineError("CHECKPOINT_INVALID", `${source} has neither safetensors nor ${EXPORTS.join(", ")}`);
}

/** In the folder of `file` or the one above. */
async function tokenizerBeside(file: string): Promise<string> {
  for (const dir of [dirname(file), dirname(dirname(file))])
    if ((await sizeOf(join(dir, "tokenizer.json"))) !== undefined) return join(dir, "tokenizer.json");
  throw new EngineError("CHECKPOINT_INVALID", `${join(dirname(file), "tokenizer.json")} is missing`);
}
