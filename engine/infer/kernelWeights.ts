// A reader's graph -> the weights that the kernels need, where it is a graph they can stand in for: the decoder's nodes in their
// one order, matrices in a format that has a kernel.
import type { OnnxModel, OnnxNode, StoredConstant } from "../pack/onnxModel.ts";
import { fieldsOf, textOf } from "../pack/protobuf.ts";
import { BLOCK, GROUP, INT8, Q4, Q8 } from "./kernels/plan.ts";

export interface KernelMatrix {
  readonly inputs: number;
  readonly outputs: number;
  readonly levels: StoredConstant;
  readonly scales: StoredConstant;
  readonly bias: StoredConstant | undefined;
}

export interface KernelLayer {
  readonly attentionNorm: StoredConstant;
  readonly qkv: KernelMatrix;
  readonly output: KernelMatrix;
  readonly mlpNorm: StoredConstant;
  readonly gate: KernelMatrix;
  readonly up: KernelMatrix;
  readonly down: KernelMatrix;
}

export interface KernelWeights {
  /** `Q4`, `Q8` or `INT8`, of all matrices. */
  readonly kind: number;
  readonly heads: number;
  readonly epsilon: number;
  readonly layers: readonly KernelLayer[];
  readonly norm: StoredConstant;
  readonly head: KernelMatrix;
  readonly cos: StoredConstant;
  readonly sin: StoredConstant;
}

/** Nodes between those that are looked at; they move, cut and quantise rows. */
const BETWEEN = new Set(
  "Abs Add Cast Div Gather Max Mul Neg QuantizeLinear ReduceMax ReduceMin Reshape Shape Sigmoid Slice Sub".split(" "),
);
const MATRICES = new Set(["MatMulNBits", "MatMulIntegerToFloat"]);
const NORMS = new Set(["SimplifiedLayerNormalization", "SkipSimplifiedLayerNormalization"]);
const ATTENTION = "GroupQueryAttention";
/** Norm, matrix and attention, in the order of a layer. */
const ORDER = "nmamnmmm";
const ATTENTION_ATTRIBUTES = new Set(["num_heads", "kv_num_heads", "do_rotary"]);

/** Undefined where the graph is another one, or its matrices have another format. */
export function kernelWeights(model: OnnxModel, kvHeads: number, headDim: number): KernelWeights | undefined {
  const steps = model.nodes.filter(({ kind }) => !BETWEEN.has(kind));
  const order = steps.map(({ kind }) => letterOf(kind)).join("");
  const count = Math.floor(order.length / ORDER.length);
  if (count === 0 || order !== `${ORDER.repeat(count)}nm`) return undefined;
  const attention = steps[2] as OnnxNode;
  const attributes = attributesOf(attention);
  const heads = attributes.get("num_heads") ?? 0;
  const isPlain = [...attributes.keys()].every((name) => ATTENTION_ATTRIBUTES.has(name));
  if (!isPlain || attributes.get("do_rotary") !== 1 || attributes.get("kv_num_heads") !== kvHeads) return undefined;
  const kind = kindOf(steps[1], model);
  const found = steps.map((node) => (MATRICES.has(node.kind) ? matrixOf(node, model) : normOf(node, model)));
  const [cos, sin] = [7, 8].map((n) => model.constants.get(attention.inputs[n] ?? ""));
  const areOneKind = steps.every((node) => !MATRICES.has(node.kind) || kindOf(node, model) === kind);
  const fits = headDim % 16 === 0 && headDim <= 256 && heads % kvHeads === 0;
  if (kind === undefined || !areOneKind || !fits || found.includes(undefined)) return undefined;
  if (cos === undefined || sin === undefined) return undefined;
  const layers = Array.from({ length: count }, (_, n): KernelLayer => {
    const own = found.slice(n * ORDER.length, (n + 1) * ORDER.length);
    const [attentionNorm, qkv, , output, mlpNorm, gate, up, down] = own as [
      StoredConstant,
      KernelMatrix,
      unknown,
      KernelMatrix,
      StoredConstant,
      KernelMatrix,
      KernelMatrix,
      KernelMatrix,
    ];
    return { attentionNorm, qkv, output, mlpNorm, gate, up, down };
  });
  const [norm, head] = found.slice(-2) as [StoredConstant, KernelMatrix];
  const epsilon = attributesOf(steps[0] as OnnxNode).get("epsilon") ?? 0;
  return { kind, heads, epsilon, layers, norm, head, cos, sin };
}

function letterOf(kind: string): string {
  if (NORMS.has(kind)) return "n";
  if (MATRICES.has(kind)) return "m";
  return kind === ATTENTION ? "a" : "?";
}

function kindOf(node: OnnxNode | undefined, model: OnnxModel): number | undefined {
  if (node?.kind === "MatMulIntegerToFloat") return INT8;
  const blockBytes = model.constants.get(node?.inputs[1] ?? "")?.dims[2];
  return blockBytes === BLOCK / 2 ? Q4 : blockBytes === BLOCK ? Q8 : undefined;
}

/** Undefined where the kernels have no place for it. */
function matrixOf(node: OnnxNode, model: OnnxModel): KernelMatrix | undefined {
  const constant = (n: number) => model.constants.get(node.inputs[n] ?? "");
  const levels = constant(1);
  const isInt8 = node.kind === "MatMulIntegerToFloat";
  const scales = constant(isInt8 ? 3 : 2);
  const bias = isInt8 ? addedTo(node, model) : constant(5);
  if (levels?.place === undefined || scales?.place === undefined) return undefined;
  if (bias !== undefined && bias.place === undefined) return undefined;
  const [rows = 0, columns = 0] = levels.dims;
  const attributes = attributesOf(node);
  const [inputs, outputs] = isInt8 ? [rows, columns] : [attributes.get("K") ?? 0, rows];
  if (inputs % BLOCK !== 0 || outputs % GROUP !== 0) return undefined;
  // A block of another size, zero points, an order of inputs or other levels of activations would be something else.
  const isOurs = isInt8
    ? node.inputs.length === 5 && scales.dims[0] === outputs
    : attributes.get("block_size") === BLOCK &&
      attributes.get("accuracy_level") === 4 &&
      !node.inputs[3] &&
      !node.inputs[4];
  return isOurs ? { inputs, outputs, levels, scales, bias } : undefined;
}

/** The constant that is added to the product, once it is scaled. */
function addedTo(node: OnnxNode, model: OnnxModel): StoredConstant | undefined {
  const next = (name: string | undefined, kind: string) =>
    model.nodes.find((other) => other.kind === kind && other.inputs.includes(name ?? ""));
  const scaled = next(node.outputs[0], "Mul")?.outputs[0];
  const sum = next(scaled, "Add");
  return sum?.inputs.map((name) => model.constants.get(name)).find((constant) => constant !== undefined);
}

function normOf(node: OnnxNode, model: OnnxModel): StoredConstant | "attention" | undefined {
  if (node.kind === ATTENTION) return "attention";
  const gain = model.constants.get(node.inputs[node.kind.startsWith("Skip") ? 2 : 1] ?? "");
  return gain?.place === undefined ? undefined : gain;
}

const NODE_ATTRIBUTE = 5;
const ATTRIBUTE = { name: 1, float: 2, integer: 3 } as const;

/** Numbers among a node's attributes; what is no number counts as 0. */
function attributesOf(node: OnnxNode): Map<string, number> {
  const found = new Map<string, number>();
  for (const { number, bytes } of fieldsOf(node.message)) {
    if (number !== NODE_ATTRIBUTE || bytes === undefined) continue;
    const fields = [...fieldsOf(bytes)];
    const of = (wanted: number) => fields.find((field) => field.number === wanted);
    const value = of(ATTRIBUTE.float)?.float ?? Number(of(ATTRIBUTE.integer)?.integer ?? 0n);
    found.set(textOf(of(ATTRIBUTE.name)?.bytes), value);
  }
  return found;
}
