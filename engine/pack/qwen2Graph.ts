// A Qwen2-architecture checkpoint -> the two graphs a reader runs: token rows, and the decoder with its cache outside.
// Hand-built: a traced export has neither GroupQueryAttention nor outputs that hold only the new keys and values.
import type { Checkpoint, Qwen2Shape } from "./checkpoint.ts";
import { addMatrix, addSwiglu, type GatedMatrices, type Matrix, type MatrixFormat } from "./matrices.ts";
import { createGraph, MICROSOFT, type OnnxGraph } from "./onnxGraph.ts";
import { EMBEDDING_TENSOR } from "./qwen2Config.ts";
import { addRope } from "./rope.ts";
import { addTokenTable } from "./tokenTable.ts";

/** What kept keys and values are stored as. */
export type KeyValueFormat = "float32" | "int8";

/** Of int8 keys and values; numbers beyond 127 steps are cut. Random weights stay far below. */
const KEY_VALUE_STEP = 1 / 16;

/** `input_ids` -> `inputs_embeds`: rows of an int8 table times their scale; of a float32 table where the reader's matrices are. */
export async function writeEmbedGraph(
  file: string,
  shape: Qwen2Shape,
  checkpoint: Checkpoint,
  format: MatrixFormat = "q8",
): Promise<void> {
  const { vocabSize, readerDim } = shape;
  await createGraph(file, "embed", async (graph) => {
    const ids = graph.input("input_ids", "int64", [1, "T"]);
    const output = graph.output("inputs_embeds", "float32", [1, "T", readerDim]);
    const table = { name: "embed", tensor: EMBEDDING_TENSOR, rows: vocabSize, width: readerDim };
    await addTokenTable(graph, ids, table, format, checkpoint, output);
  });
}

/**
 * The decoder: `inputs_embeds` and past keys and values -> logits of the rows asked for, and the new keys and values alone.
 * Only `logit_rows` pass through the last layer's output matrix and MLP.
 */
export async function writeReaderGraph(
  file: string,
  shape: Qwen2Shape,
  checkpoint: Checkpoint,
  format: MatrixFormat,
  keyValues: KeyValueFormat = "float32",
): Promise<void> {
  await createGraph(file, "reader", (graph) => buildReader(graph, shape, checkpoint, format, keyValues));
}

async function buildReader(
  graph: OnnxGraph,
  shape: Qwen2Shape,
  checkpoint: Checkpoint,
  format: MatrixFormat,
  keyValues: KeyValueFormat,
): Promise<void> {
  const { layers, kvHeads, headDim, readerDim, vocabSize } = shape;
  let sum = graph.input("inputs_embeds", "float32", [1, "T", readerDim]);
  const lengths = [graph.input("seqlens_k", "int32", [1]), graph.input("total_sequence_length", "int32", [])] as const;
  const logitRows = graph.input("logit_rows", "int64", ["R"]);
  const logits = graph.output("logits", "float32", [1, "R", vocabSize]);
  addRope(graph, shape);
  const quantised = addKeyValueStep(graph, keyValues);
  const end = graph.op("Reshape", [graph.op("Cast", [lengths[1]], { to: 7 }), graph.integers(1)]);
  const start = graph.op("Sub", [end, graph.op("Shape", [sum], { start: 1, end: 2 })]);

  const norm = async (tensor: string) =>
    graph.constant(tensor, await checkpoint.read(tensor, 0, readerDim), [readerDim]);
  const normAfter = async (added: string, tensor: string) => {
    const outputs = [graph.fresh("normed"), "", "", graph.fresh("sum")];
    const operands = [added, sum, await norm(tensor)];
    graph.node(
      "SkipSimplifiedLayerNormalization",
      operands,
      outputs,
      { epsilon: { float: shape.normEpsilon } },
      MICROSOFT,
    );
    sum = outputs[3] as string;
    return outputs[0] as string;
  };

  let normed = graph.op("SimplifiedLayerNormalization", [sum, await norm("model.layers.0.input_layernorm.weight")], {
    axis: -1,
    epsilon: { float: shape.normEpsilon },
    stash_type: 1,
  });
  for (let layer = 0; layer < layers; layer += 1) {
    const past = ["key", "value"].map((part) =>
      graph.input(`past_key_values.${layer}.${part}`, keyValues, [1, kvHeads, "S", headDim]),
    );
    const qkv = await addMatrix(graph, normed, qkvOf(shape, layer), format, checkpoint);
    const [heard = "", ...present] = ["heard", "present_key", "present_value"].map((stem) => graph.fresh(stem));
    graph.node(
      "GroupQueryAttention",
      [qkv, "", "", ...past, ...lengths, "rope.cos", "rope.sin", ...quantised.inputs],
      [heard, ...present],
      { num_heads: shape.heads, kv_num_heads: kvHeads, do_rotary: 1, ...quantised.attributes },
      MICROSOFT,
    );
    for (const [n, part] of ["key", "value"].entries()) {
      const rows = graph.output(`present.${layer}.${part}`, keyValues, [1, kvHeads, "T", headDim]);
      graph.op("Slice", [present[n] ?? "", start, end, graph.integers(2)], {}, "", rows);
    }
    const isLast = layer + 1 === layers;
    const own = isLast ? graph.op("Gather", [heard, logitRows], { axis: 1 }) : heard;
    if (isLast) sum = graph.op("Gather", [sum, logitRows], { axis: 1 });
    const attended = await addMatrix(graph, own, outputOf(shape, layer), format, checkpoint);
    normed = await normAfter(attended, `model.layers.${layer}.post_attention_layernorm.weight`);
    const wide = await addSwiglu(graph, normed, mlpOf(shape, layer), format, checkpoint);
    normed = await normAfter(wide, isLast ? "model.norm.weight" : `model.layers.${layer + 1}.input_layernorm.weight`);
  }
  const tensor = shape.headTensor ?? EMBEDDING_TENSOR;
  const head = { name: "head", parts: [{ tensor, rows: vocabSize }], inputs: readerDim };
  await addMatrix(graph, normed, head, format, checkpoint, logits);
}

/** What attention needs to store its keys and values in `format`: inputs behind the rope's, and attributes. */
function addKeyValueStep(
  graph: OnnxGraph,
  format: KeyValueFormat,
): { inputs: readonly string[]; attributes: Readonly<Record<string, number | { readonly text: string }>> } {
  if (format === "float32") return { inputs: [], attributes: {} };
  const step = graph.constant("key_value.s", Float32Array.of(KEY_VALUE_STEP), [1]);
  const perTensor = { text: "PER_TENSOR" };
  return {
    // Positions, bias and sink are left out.
    inputs: ["", "", "", step, step],
    attributes: { k_quant_type: perTensor, v_quant_type: perTensor, kv_cache_bit_width: 8 },
  };
}

function mlpOf({ readerDim, ffnDim }: Qwen2Shape, layer: number): GatedMatrices {
  const matrixOf = (part: string, rows: number, inputs: number): Matrix => ({
    name: `layers.${layer}.${part}`,
    parts: [{ tensor: `model.layers.${layer}.mlp.${part}_proj.weight`, rows }],
    inputs,
  });
  return {
    gate: matrixOf("gate", ffnDim, readerDim),
    up: matrixOf("up", ffnDim, readerDim),
    down: matrixOf("down", readerDim, ffnDim),
  };
}

function qkvOf({ heads, kvHeads, headDim, readerDim }: Qwen2Shape, layer: number): Matrix {
  const parts = (
    [
      ["q", heads],
      ["k", kvHeads],
      ["v", kvHeads],
    ] as const
  ).map(([part, count]) => ({ stem: `model.layers.${layer}.self_attn.${part}_proj`, rows: count * headDim }));
  return {
    name: `layers.${layer}.qkv`,
    parts: parts.map(({ stem, rows }) => ({ tensor: `${stem}.weight`, rows })),
    biases: parts.map(({ stem }) => `${stem}.bias`),
    inputs: readerDim,
  };
}

function outputOf({ heads, headDim, readerDim }: Qwen2Shape, layer: number): Matrix {
  const tensor = `model.layers.${layer}.self_attn.o_proj.weight`;
  return { name: `layers.${layer}.o`, parts: [{ tensor, rows: readerDim }], inputs: heads * headDim };
}
