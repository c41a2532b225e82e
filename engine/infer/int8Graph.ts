// A graph made over for many positions at once on the CPU: matrices of 8-bit blocks become int8 with a scale an output, twice as
// fast to multiply.
import type { Checkpoint } from "../pack/checkpoint.ts";
import { ConstantReader } from "../pack/constantReader.ts";
import { addInt8, BLOCK, type QuantisedRows, quantisedRows } from "../pack/matrices.ts";
import { graphBytes, type OnnxGraph } from "../pack/onnxGraph.ts";
import { integerOf, type OnnxModel, type OnnxNode, readOnnxModel, type StoredConstant } from "../pack/onnxModel.ts";
import type { GraphBytes } from "./session.ts";

/** Making it over takes 20 ms a megabyte, at every start. */
const MOST_BYTES = 32 << 20;
const ZERO = 128;
/** Places among a node's inputs. */
const INPUT = { rows: 0, levels: 1, scales: 2, zeros: 3, bias: 5 } as const;

/** A node's matrix `[outputs, inputs]`: levels in blocks, and a scale each. */
interface BlockMatrix {
  readonly node: OnnxNode;
  readonly inputs: number;
  readonly outputs: number;
  readonly levels: StoredConstant;
  readonly scales: StoredConstant;
}

/** Undefined where the graph has no matrices in 8-bit blocks, or all its constants together are too large. */
export async function int8Graph(file: string): Promise<GraphBytes | undefined> {
  const model = await readOnnxModel(file);
  const matrices = new Map(model.nodes.flatMap((node) => matrixOf(node, model)).map((matrix) => [matrix.node, matrix]));
  const bytes = [...model.constants.values()].reduce((sum, { place }) => sum + (place?.bytes ?? 0), 0);
  if (matrices.size === 0 || bytes > MOST_BYTES) return undefined;
  const constants = new ConstantReader();
  try {
    return { bytes: await graphBytes("int8", (graph) => build(graph, model, matrices, constants), model), file };
  } finally {
    await constants.close();
  }
}

/** The one matrix of a node; none where it stays as it is: few rows pass the last one, and a reader chooses from what it gives. */
function matrixOf(node: OnnxNode, { constants, outputs: results }: OnnxModel): BlockMatrix[] {
  if (node.kind !== "MatMulNBits" || integerOf(node, "bits") !== 8 || integerOf(node, "block_size") !== BLOCK)
    return [];
  const [inputs = 0, outputs = 0] = [integerOf(node, "K"), integerOf(node, "N")];
  const [levels, scales] = [INPUT.levels, INPUT.scales].map((n) => constants.get(node.inputs[n] ?? ""));
  const isLast = results.some(({ name }) => node.outputs.includes(name));
  const hasZeros = (node.inputs[INPUT.zeros] ?? "") !== "";
  if (levels?.place === undefined || scales?.place === undefined || isLast || hasZeros || inputs % BLOCK !== 0)
    return [];
  return [{ node, inputs, outputs, levels, scales }];
}

async function build(
  graph: OnnxGraph,
  model: OnnxModel,
  matrices: ReadonlyMap<OnnxNode, BlockMatrix>,
  constants: ConstantReader,
): Promise<void> {
  for (const { name, type, dims } of model.inputs) graph.input(name, type, dims);
  for (const { name, type, dims } of model.outputs) graph.output(name, type, dims);
  /** Rows that several matrices read are quantised once. */
  const quantised = new Map<string, QuantisedRows>();
  for (const node of model.nodes) {
    const matrix = matrices.get(node);
    if (matrix === undefined) {
      graph.adopt(node.message);
      continue;
    }
    const [x = "", bias = ""] = [node.inputs[INPUT.rows], node.inputs[INPUT.bias]];
    const rows = quantised.get(x) ?? quantisedRows(graph, x);
    quantised.set(x, rows);
    const { inputs, outputs, levels } = matrix;
    const part = { name: graph.fresh("matrix"), parts: [{ tensor: levels.name, rows: outputs }], inputs };
    const [output = ""] = node.outputs;
    const product = await addInt8(graph, rows, part, numbersOf(matrix, constants), bias === "" ? output : undefined);
    if (bias !== "") graph.op("Add", [product, bias], {}, "", output);
  }
  const replaced = new Set([...matrices.values()].flatMap(({ levels, scales }) => [levels, scales]));
  for (const constant of model.constants.values()) {
    if (replaced.has(constant)) continue;
    if (constant.message !== undefined) graph.adoptConstant(constant.message);
    else graph.rawConstant(constant.name, constant, await constants.read(constant));
  }
}

/** A matrix as the numbers that its blocks stand for. */
function numbersOf({ levels, scales }: BlockMatrix, constants: ConstantReader): Checkpoint {
  return {
    read: async (_name, from, count) => {
      const own = await constants.read(levels, from, count);
      const steps = new Float32Array((await constants.read(scales, (from / BLOCK) * 4, (count / BLOCK) * 4)).buffer);
      const numbers = new Float32Array(count);
      for (let block = 0, n = 0; n < count; block += 1) {
        const step = steps[block] as number;
        for (const end = n + BLOCK; n < end; n += 1) numbers[n] = ((own[n] as number) - ZERO) * step;
      }
      return numbers;
    },
  };
}
