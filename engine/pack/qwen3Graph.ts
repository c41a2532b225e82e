// A Qwen3-Embedding checkpoint -> the encoder's graph: token ids -> the last token's state, at unit length.
import type { Checkpoint } from "./checkpoint.ts";
import { addMatrices, addMatrix, addSwiglu, type Matrix, type MatrixFormat } from "./matrices.ts";
import { createGraph, MICROSOFT, type OnnxGraph } from "./onnxGraph.ts";
import type { Qwen3Shape } from "./qwen3Config.ts";
import { addRope } from "./rope.ts";
import { addTokenTable } from "./tokenTable.ts";

/** What attention is told of a batch that has no past: names in the graph. */
interface Batch {
  /** Index of each text's last token. */
  readonly lastRows: string;
  readonly width: string;
  readonly past: string;
}

/** `input_ids` `[n, t]`, padded on the right, and `lengths` `[n]` -> `vectors` `[n, vectorDim]`. */
export async function writeEncoderGraph(
  file: string,
  shape: Qwen3Shape,
  checkpoint: Checkpoint,
  format: MatrixFormat,
): Promise<void> {
  await createGraph(file, "encoder", (graph) => new EncoderGraph(graph, shape, checkpoint, format).build());
}

class EncoderGraph {
  readonly #graph: OnnxGraph;
  readonly #shape: Qwen3Shape;
  readonly #checkpoint: Checkpoint;
  readonly #format: MatrixFormat;

  constructor(graph: OnnxGraph, shape: Qwen3Shape, checkpoint: Checkpoint, format: MatrixFormat) {
    this.#graph = graph;
    this.#shape = shape;
    this.#checkpoint = checkpoint;
    this.#format = format;
  }

  async build(): Promise<void> {
    const graph = this.#graph;
    const { layers, vectorDim, vocabSize, normEpsilon } = this.#shape;
    const ids = graph.input("input_ids", "int64", ["n", "t"]);
    const lengths = graph.input("lengths", "int32", ["n"]);
    const vectors = graph.output("vectors", "float32", ["n", vectorDim]);
    addRope(graph, this.#shape);
    const batch = this.#batch(ids, lengths);
    const table = { name: "embed", tensor: "embed_tokens.weight", rows: vocabSize, width: vectorDim };
    let sum = await addTokenTable(graph, ids, table, this.#format, this.#checkpoint);
    let normed = await this.#norm(sum, "layers.0.input_layernorm.weight", vectorDim);
    for (let layer = 0; layer < layers; layer += 1) {
      const stem = `layers.${layer}`;
      const nextNorm = layer + 1 === layers ? "norm" : `layers.${layer + 1}.input_layernorm`;
      const addNormed = async (added: string, tensor: string) => {
        const outputs = [graph.fresh("normed"), "", "", graph.fresh("sum")];
        const gain = await this.#gain(tensor, vectorDim);
        const epsilon = { float: normEpsilon };
        graph.node("SkipSimplifiedLayerNormalization", [added, sum, gain], outputs, { epsilon }, MICROSOFT);
        sum = outputs[3] as string;
        return outputs[0] as string;
      };
      const attended = await this.#attention(normed, stem, batch);
      normed = await addNormed(attended, `${stem}.post_attention_layernorm.weight`);
      normed = await addNormed(await this.#mlp(normed, stem), `${nextNorm}.weight`);
    }
    const last = graph.op("Unsqueeze", [graph.op("Cast", [batch.lastRows], { to: 7 }), graph.integers(1)]);
    const state = graph.op("GatherND", [normed, last], { batch_dims: 1 });
    const length = graph.op("ReduceL2", [state, graph.integers(-1)], { keepdims: 1 });
    graph.op("Div", [state, length], {}, "", vectors);
  }

  #batch(ids: string, lengths: string): Batch {
    const graph = this.#graph;
    const { kvHeads, headDim } = this.#shape;
    const lastRows = graph.op("Sub", [lengths, graph.constant("one", Int32Array.of(1), [1])]);
    const width = graph.op("Squeeze", [graph.op("Shape", [ids], { start: 1, end: 2 }), graph.integers(0)]);
    const width32 = graph.op("Cast", [width], { to: 6 });
    const rows = graph.op("Shape", [ids], { start: 0, end: 1 });
    const shape = graph.op("Concat", [rows, graph.integers(kvHeads, 0, headDim)], { axis: 0 });
    const nothing = graph.constant("nothing", new Float32Array(0), [1, kvHeads, 0, headDim]);
    return { lastRows, width: width32, past: graph.op("Expand", [nothing, shape]) };
  }

  async #attention(x: string, stem: string, { lastRows, width, past }: Batch): Promise<string> {
    const graph = this.#graph;
    const { heads, kvHeads, headDim, vectorDim } = this.#shape;
    const matrices = (
      [
        ["q", heads],
        ["k", kvHeads],
        ["v", kvHeads],
      ] as const
    ).map(([part, count]) => this.#matrix(`${stem}.self_attn.${part}_proj`, count * headDim, vectorDim));
    const [q = "", k = "", v = ""] = await addMatrices(graph, x, matrices, this.#format, this.#checkpoint);
    const heard = graph.fresh("heard");
    const operands = [
      await this.#headsNormed(q, `${stem}.self_attn.q_norm.weight`, heads),
      await this.#headsNormed(k, `${stem}.self_attn.k_norm.weight`, kvHeads),
      v,
      past,
      past,
      lastRows,
      width,
      "rope.cos",
      "rope.sin",
    ];
    const outputs = [heard, graph.fresh("unused_key"), graph.fresh("unused_value")];
    const attributes = { num_heads: heads, kv_num_heads: kvHeads, do_rotary: 1 };
    graph.node("GroupQueryAttention", operands, outputs, attributes, MICROSOFT);
    const output = this.#matrix(`${stem}.self_attn.o_proj`, vectorDim, heads * headDim);
    return addMatrix(graph, heard, output, this.#format, this.#checkpoint);
  }

  /** `[n, t, count * headDim]`, each head normed alone. */
  async #headsNormed(x: string, tensor: string, count: number): Promise<string> {
    const graph = this.#graph;
    const { headDim } = this.#shape;
    const apart = graph.op("Reshape", [x, graph.integers(0, 0, count, headDim)]);
    return graph.op("Reshape", [await this.#norm(apart, tensor, headDim), graph.integers(0, 0, count * headDim)]);
  }

  #mlp(x: string, stem: string): Promise<string> {
    const { vectorDim, ffnDim } = this.#shape;
    const matrices = {
      gate: this.#matrix(`${stem}.mlp.gate_proj`, ffnDim, vectorDim),
      up: this.#matrix(`${stem}.mlp.up_proj`, ffnDim, vectorDim),
      down: this.#matrix(`${stem}.mlp.down_proj`, vectorDim, ffnDim),
    };
    return addSwiglu(this.#graph, x, matrices, this.#format, this.#checkpoint);
  }

  #matrix(name: string, rows: number, inputs: number): Matrix {
    return { name, parts: [{ tensor: `${name}.weight`, rows }], inputs };
  }

  async #gain(tensor: string, width: number): Promise<string> {
    return this.#graph.constant(tensor, await this.#checkpoint.read(tensor, 0, width), [width]);
  }

  async #norm(x: string, tensor: string, width: number): Promise<string> {
    const attributes = { axis: -1, epsilon: { float: this.#shape.normEpsilon }, stash_type: 1 };
    return this.#graph.op("SimplifiedLayerNormalization", [x, await this.#gain(tensor, width)], attributes);
  }
}
