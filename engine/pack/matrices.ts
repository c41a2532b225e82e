// One matrix of a checkpoint as a node of a graph, in the formats a reader can have.
import type { Checkpoint } from "./checkpoint.ts";
import { MICROSOFT, type OnnxGraph } from "./onnxGraph.ts";

/**
 * `fp32`: as it is. `q4`, `q8`: 4 or 8 bits in blocks of 32 inputs with a scale each; activations become int8 block by block
 * inside the kernel. `int8`: levels of -63 to 63 with a scale an output; activations become int8 row by row in the
 * graph, so that what a row gives does not hang on the rows it is run with.
 */
export const MATRIX_FORMATS = ["fp32", "q4", "q8", "int8"] as const;
export type MatrixFormat = (typeof MATRIX_FORMATS)[number];

export interface Matrix {
  /** In the graph. */
  readonly name: string;
  /** Stacked in this order, each `[rows, inputs]`. */
  readonly parts: readonly { readonly tensor: string; readonly rows: number }[];
  readonly inputs: number;
  /** One for each part; outputs without a bias otherwise. */
  readonly biases?: readonly string[];
}

/** Inputs that share a scale. */
export const BLOCK = 32;
/**
 * Largest level of `int8` weights. AVX2 without VNNI adds two products of an unsigned and a signed byte in 16 bits: above 63
 * they can saturate. With unsigned weights, which cannot, the kernels with VNNI are two and a half times slower.
 */
const INT8_TOP = 63;
/** Largest level of `int8` activations. */
const INPUT_TOP = 127;
/** Numbers held at a time while a matrix is converted. */
const HELD = 1 << 22;

/** Adds `x @ matrix.T + bias`; answers its name. `x` `[1, T, inputs]`. */
export async function addMatrix(
  graph: OnnxGraph,
  x: string,
  matrix: Matrix,
  format: MatrixFormat,
  checkpoint: Checkpoint,
  output?: string,
): Promise<string> {
  const bias = await addBias(graph, matrix, checkpoint);
  switch (format) {
    case "fp32": {
      const product = await addFloat(graph, x, matrix, checkpoint, bias === undefined ? output : undefined);
      return bias === undefined ? product : graph.op("Add", [product, bias], {}, "", output);
    }
    case "int8": {
      const product = await addInt8(
        graph,
        quantisedRows(graph, x),
        matrix,
        checkpoint,
        bias === undefined ? output : undefined,
      );
      return bias === undefined ? product : graph.op("Add", [product, bias], {}, "", output);
    }
    default:
      return addBlocks(graph, x, matrix, format === "q4" ? 4 : 8, checkpoint, bias, output);
  }
}

/** Adds several matrices over one input, which is quantised once where the format quantises it in the graph. */
export async function addMatrices(
  graph: OnnxGraph,
  x: string,
  matrices: readonly Matrix[],
  format: MatrixFormat,
  checkpoint: Checkpoint,
): Promise<string[]> {
  const outputs: string[] = [];
  const rows = format === "int8" ? quantisedRows(graph, x) : undefined;
  for (const matrix of matrices) {
    outputs.push(
      rows === undefined
        ? await addMatrix(graph, x, matrix, format, checkpoint)
        : await addInt8(graph, rows, matrix, checkpoint),
    );
  }
  return outputs;
}

/** Matrices of one gated network. */
export interface GatedMatrices {
  readonly gate: Matrix;
  readonly up: Matrix;
  readonly down: Matrix;
}

/** SwiGLU: adds `silu(x @ gate.T) * (x @ up.T) @ down.T`; answers its name. */
export async function addSwiglu(
  graph: OnnxGraph,
  x: string,
  { gate, up, down }: GatedMatrices,
  format: MatrixFormat,
  checkpoint: Checkpoint,
): Promise<string> {
  const gated = (opened: string, passed: string) =>
    graph.op("Mul", [graph.op("Mul", [opened, graph.op("Sigmoid", [opened])]), passed]);
  if (format !== "int8") {
    const [opened, passed] = [
      await addMatrix(graph, x, gate, format, checkpoint),
      await addMatrix(graph, x, up, format, checkpoint),
    ];
    return addMatrix(graph, gated(opened, passed), down, format, checkpoint);
  }
  const rows = quantisedRows(graph, x);
  const opened = await addInt8(graph, rows, gate, checkpoint);
  // A row's levels are the same whatever it is multiplied by: its scale is made up for behind `down`, one number a row.
  const { levels, scales } = quantisedRows(graph, gated(opened, await addProducts(graph, rows.levels, up, checkpoint)));
  return addInt8(graph, { levels, scales: graph.op("Mul", [scales, rows.scales]) }, down, checkpoint);
}

async function addBias(graph: OnnxGraph, matrix: Matrix, checkpoint: Checkpoint): Promise<string | undefined> {
  if (matrix.biases === undefined) return undefined;
  const values = new Float32Array(outputsOf(matrix));
  let at = 0;
  for (const [n, part] of matrix.parts.entries()) {
    const bias = matrix.biases[n];
    if (bias !== undefined) values.set(await checkpoint.read(bias, 0, part.rows), at);
    at += part.rows;
  }
  return graph.constant(`${matrix.name}.b`, values, [values.length]);
}

async function addFloat(
  graph: OnnxGraph,
  x: string,
  matrix: Matrix,
  checkpoint: Checkpoint,
  output?: string,
): Promise<string> {
  const { name, inputs } = matrix;
  const weight = await graph.largeConstant(
    `${name}.w`,
    { type: "float32", dims: [outputsOf(matrix), inputs] },
    rowsOf(matrix, checkpoint),
  );
  // The runtime folds the transposition away when it opens the graph.
  return graph.op("MatMul", [x, graph.op("Transpose", [weight])], {}, "", output);
}

async function addBlocks(
  graph: OnnxGraph,
  x: string,
  matrix: Matrix,
  bits: 4 | 8,
  checkpoint: Checkpoint,
  bias: string | undefined,
  output?: string,
): Promise<string> {
  const { name, inputs } = matrix;
  const outputs = outputsOf(matrix);
  const scales = new Float32Array((outputs * inputs) / BLOCK);
  const levels = await graph.largeConstant(
    `${name}.q`,
    { type: "uint8", dims: [outputs, inputs / BLOCK, (BLOCK * bits) / 8] },
    quantisedBlocks(rowsOf(matrix, checkpoint), bits, scales),
  );
  const scale = await graph.largeConstant(`${name}.s`, { type: "float32", dims: [scales.length] }, [scales]);
  const operands = [x, levels, scale, ...(bias === undefined ? [] : ["", "", bias])];
  // Without the level the kernel would compute in float32, several times slower.
  const attributes = { K: inputs, N: outputs, bits, block_size: BLOCK, accuracy_level: 4 };
  return graph.op("MatMulNBits", operands, attributes, MICROSOFT, output);
}

async function* quantisedBlocks(
  rows: AsyncIterable<Float32Array>,
  bits: 4 | 8,
  scales: Float32Array,
): AsyncGenerator<Uint8Array> {
  const zero = 2 ** (bits - 1);
  let block = 0;
  for await (const values of rows) {
    const levels = new Uint8Array((values.length * bits) / 8);
    for (let from = 0; from < values.length; from += BLOCK, block += 1) {
      const scale = scaleOf(values, from, BLOCK, zero - 1);
      scales[block] = scale;
      for (let n = from; n < from + BLOCK; n += 1) {
        const level = Math.round((values[n] as number) / scale) + zero;
        if (bits === 8) levels[n] = level;
        else levels[n >> 1] = (levels[n >> 1] as number) | (level << ((n & 1) * 4));
      }
    }
    yield levels;
  }
}

/** Rows of int8 with a scale each: `[1, T, inputs]` uint8 around 128, and `[1, T, 1]`, 127 levels' worth. */
export interface QuantisedRows {
  readonly levels: string;
  readonly scales: string;
}

export function quantisedRows(graph: OnnxGraph, x: string): QuantisedRows {
  const last = graph.integers(-1);
  const lowest = graph.op("Neg", [graph.op("ReduceMin", [x, last], { keepdims: 1 })]);
  const highest = graph.op("ReduceMax", [x, last], { keepdims: 1 });
  const scales = graph.op("Max", [highest, lowest, graph.constant("int8/least", Float32Array.of(1e-12), [])]);
  // A division a row and not a number.
  const inverse = graph.op("Div", [graph.constant("int8/top", Float32Array.of(INPUT_TOP), []), scales]);
  const one = graph.constant("int8/unit", Float32Array.of(1), []);
  const zero = graph.constant("int8/zero", Uint8Array.of(128), []);
  return { levels: graph.op("QuantizeLinear", [graph.op("Mul", [x, inverse]), one, zero]), scales };
}

/** Adds `rows @ matrix.T`, the matrix with a scale an output; answers its name. */
export async function addInt8(
  graph: OnnxGraph,
  rows: QuantisedRows,
  matrix: Matrix,
  checkpoint: Checkpoint,
  output?: string,
): Promise<string> {
  const products = await addProducts(graph, rows.levels, matrix, checkpoint);
  return graph.op("Mul", [products, rows.scales], {}, "", output);
}

/** Products of rows whose scales are 1. */
async function addProducts(graph: OnnxGraph, rows: string, matrix: Matrix, checkpoint: Checkpoint): Promise<string> {
  const { name, inputs } = matrix;
  const outputs = outputsOf(matrix);
  const scales = new Float32Array(outputs);
  // The kernel reads [inputs, outputs]: transposed whole, since a row of it crosses every output.
  const levels = new Int8Array(outputs * inputs);
  let row = 0;
  for await (const values of rowsOf(matrix, checkpoint)) {
    for (let from = 0; from < values.length; from += inputs, row += 1) {
      const scale = scaleOf(values, from, inputs, INT8_TOP);
      scales[row] = scale;
      for (let n = 0; n < inputs; n += 1) levels[n * outputs + row] = Math.round((values[from + n] as number) / scale);
    }
  }
  const weight = await graph.largeConstant(`${name}.q`, { type: "int8", dims: [inputs, outputs] }, [levels]);
  const scale = await graph.largeConstant(`${name}.s`, { type: "float32", dims: [outputs] }, [scales]);
  const zero = graph.constant("int8/zero", Uint8Array.of(128), []);
  const step = graph.constant("int8/step", Float32Array.of(1 / INPUT_TOP), []);
  return graph.op("MatMulIntegerToFloat", [rows, weight, step, scale, zero], {}, MICROSOFT);
}

function scaleOf(values: Float32Array, from: number, count: number, top: number): number {
  let largest = 0;
  for (let n = from; n < from + count; n += 1) largest = Math.max(largest, Math.abs(values[n] as number));
  return Math.fround(Math.max(largest / top, 1e-12));
}

function outputsOf(matrix: Matrix): number {
  return matrix.parts.reduce((sum, part) => sum + part.rows, 0);
}

/** Whole rows, a few million numbers at a time. */
async function* rowsOf(matrix: Matrix, checkpoint: Checkpoint): AsyncGenerator<Float32Array> {
  const most = Math.max(1, Math.floor(HELD / matrix.inputs));
  for (const { tensor, rows } of matrix.parts) {
    for (let row = 0; row < rows; row += most) {
      const count = Math.min(most, rows - row);
      yield await checkpoint.read(tensor, row * matrix.inputs, count * matrix.inputs);
    }
  }
}
