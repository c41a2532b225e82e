// A stock export of a decoder, taken apart by what its graph says: where token ids become rows, where rows become logits, and
// how it takes and gives keys and values. What cannot be told is refused by name.
import { EngineError } from "../errors.ts";
import { TYPES } from "./onnxGraph.ts";
import { integerOf, type OnnxModel, type OnnxNode, type OnnxValue } from "./onnxModel.ts";
import { fieldsOf, textsOf } from "./protobuf.ts";

/** What the export's configuration says; `maxTokens` was asked for. */
export interface ExportShape {
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly readerDim: number;
  readonly vocabSize: number;
  readonly maxTokens: number;
}

export interface ExportParts {
  readonly model: OnnxModel;
  readonly producers: ReadonlyMap<string, OnnxNode>;
  /** Rows of the token table, and the format's number of their type. */
  readonly rows: { readonly name: string; readonly type: number };
  /** Of what the output matrix multiplies, and the node that reads it; undefined where it was not found. */
  readonly head: { readonly name: string; readonly reader: OnnxNode } | undefined;
  /** In pairs, `past_key_values.{l}.key|value`. */
  readonly past: readonly OnnxValue[];
  readonly present: readonly OnnxValue[];
  readonly logits: OnnxValue;
  /** Of the inputs, those that the engine's reader has not and the graph can make: `attention_mask` and the like. */
  readonly made: readonly OnnxValue[];
  /** Attention reads as much of the past as it is told, whatever room its tensors have. */
  readonly readsRoom: boolean;
}

const MADE = ["attention_mask", "position_ids", "num_logits_to_keep"] as const;
const IDS = "input_ids";
const LOGITS = "logits";
const FLOATS: readonly number[] = [TYPES.float32, TYPES.float16];
const INTEGERS: readonly number[] = [TYPES.int32, TYPES.int64];
/** Oldest operator set in which all operators exist that a split graph is given. */
const OLDEST_OPSET = 13;

/** Throws `CHECKPOINT_UNSUPPORTED` naming the first thing that does not fit. */
export function exportParts(model: OnnxModel, shape: ExportShape): ExportParts {
  const producers = new Map(model.nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  checkOpset(model);
  const inputs = new Map(
    model.inputs.filter(({ name }) => !model.constants.has(name)).map((value) => [value.name, value]),
  );
  const outputs = new Map(model.outputs.map((value) => [value.name, value]));
  const names = keyValueNames(shape.layers);
  const past = names.map((name) => keyValue(model, inputs, "input", `past_key_values.${name}`, shape));
  const present = names.map((name) => keyValue(model, outputs, "output", `present.${name}`, shape));
  const ids = inputs.get(IDS);
  if (ids === undefined) throw refused(model, `it has no input ${IDS}`);
  const known = new Set([IDS, ...MADE, ...past.map(({ name }) => name)]);
  const unknown = [...inputs.keys()].filter((name) => !known.has(name));
  if (unknown.length > 0) throw refused(model, `nobody knows what its input ${unknown.join(", ")} is`);
  const graph = { model, producers };
  return {
    ...graph,
    rows: findRows(graph),
    head: findHead(graph),
    past,
    present,
    logits: checkLogits(model, outputs.get(LOGITS), shape),
    made: MADE.flatMap((name) => inputs.get(name) ?? []).map((value) => checkMade(model, value)),
    readsRoom: past.every(({ name }) => readersOf(model, name).every(({ kind }) => kind === "GroupQueryAttention")),
  };
}

function keyValueNames(layers: number): string[] {
  return Array.from({ length: layers }, (_, layer) => [`${layer}.key`, `${layer}.value`]).flat();
}

function checkOpset(model: OnnxModel): void {
  const version = model.opsets
    .filter((opset) => ["", "ai.onnx"].includes(textsOf(opset, 1)[0] ?? ""))
    .flatMap((opset) => [...fieldsOf(opset)])
    .find(({ number }) => number === 2)?.integer;
  if (version === undefined || version < OLDEST_OPSET)
    throw refused(model, `its operator set is ${version ?? "not told"}; ${OLDEST_OPSET} and later are supported`);
}

function keyValue(
  model: OnnxModel,
  values: ReadonlyMap<string, OnnxValue>,
  kind: "input" | "output",
  name: string,
  { kvHeads, headDim }: ExportShape,
): OnnxValue {
  const value = values.get(name);
  if (value === undefined) throw refused(model, `it has no ${kind} ${name}; export it with its cache`);
  const { type, dims } = value;
  const [, heads, , width] = dims;
  const fits = (dim: number | string | undefined, expected: number) => typeof dim !== "number" || dim === expected;
  if (dims.length !== 4 || !fits(heads, kvHeads) || !fits(width, headDim))
    throw refused(model, `${name} is [${dims.join(", ")}], not [1, ${kvHeads}, positions, ${headDim}]`);
  if (!FLOATS.includes(type))
    throw refused(model, `${name} is of the format's type ${type}; float32 and float16 are read`);
  return value;
}

function checkMade(model: OnnxModel, value: OnnxValue): OnnxValue {
  const rank = value.name === "num_logits_to_keep" ? 0 : 2;
  if (value.dims.length === rank && INTEGERS.includes(value.type)) return value;
  throw refused(model, `${value.name} is [${value.dims.join(", ")}] of the format's type ${value.type}`);
}

function checkLogits(model: OnnxModel, logits: OnnxValue | undefined, { vocabSize }: ExportShape): OnnxValue {
  if (logits === undefined) throw refused(model, `it has no output ${LOGITS}`);
  const [, positions, width] = logits.dims;
  if (logits.dims.length !== 3 || typeof positions === "number")
    throw refused(model, `${LOGITS} is [${logits.dims.join(", ")}], not one row a position`);
  if (typeof width === "number" && width !== vocabSize)
    throw refused(model, `${LOGITS} has ${width} columns, its configuration says ${vocabSize}`);
  if (!FLOATS.includes(logits.type)) throw refused(model, `${LOGITS} is of the format's type ${logits.type}`);
  return logits;
}

type Graph = Pick<ExportParts, "model" | "producers">;

/** What looks token ids up, followed to the first tensor of floats. */
function findRows(graph: Graph): ExportParts["rows"] {
  const { model } = graph;
  const lookups: OnnxNode[] = [];
  const aliases = [IDS];
  for (const name of aliases) {
    for (const node of readersOf(model, name)) {
      if (node.kind === "Shape") continue;
      if (node.kind === "Cast" || node.kind === "Identity") aliases.push(node.outputs[0] ?? "");
      else if (isLookup(graph, node, name)) lookups.push(node);
      else throw refused(model, `its ${IDS} go into ${node.kind}, which is no embedding lookup`);
    }
  }
  const [lookup, second] = lookups;
  if (lookup === undefined) throw refused(model, "no embedding lookup was found");
  if (second !== undefined) throw refused(model, `its ${IDS} are looked up ${lookups.length} times`);
  const name = lookup.outputs[0] ?? "";
  const type =
    lookup.kind === "GatherBlockQuantized" ? typeOf(graph, lookup.inputs[2]) : typeOf(graph, lookup.inputs[0]);
  const rows = type !== undefined && FLOATS.includes(type) ? { name, type } : dequantised(graph, name);
  if (rows === undefined) throw refused(model, `its token table is of the format's type ${type ?? "unknown"}`);
  return rows;
}

function isLookup({ model, producers }: Graph, node: OnnxNode, ids: string): boolean {
  if (node.inputs[1] !== ids || !isConstant({ model, producers }, node.inputs[0] ?? "")) return false;
  if (node.kind === "GatherBlockQuantized") return (integerOf(node, "gather_axis") ?? 0) === 0;
  return node.kind === "Gather" && (integerOf(node, "axis") ?? 0) === 0;
}

/** Rows that are looked up as small integers and scaled afterwards. */
function dequantised(graph: Graph, name: string): ExportParts["rows"] | undefined {
  const readers = readersOf(graph.model, name);
  const [only] = readers;
  if (readers.length !== 1 || only?.kind !== "DequantizeLinear") return undefined;
  const type = typeOf(graph, only.inputs[1]);
  return type !== undefined && FLOATS.includes(type) ? { name: only.outputs[0] ?? "", type } : undefined;
}

/** As far as it can be told without inference. */
function typeOf(graph: Graph, name = ""): number | undefined {
  const constant = graph.model.constants.get(name);
  if (constant !== undefined) return constant.type;
  const node = graph.producers.get(name);
  switch (node?.kind) {
    case "Cast":
      return integerOf(node, "to");
    case "DequantizeLinear":
      return typeOf(graph, node.inputs[1]);
    case "Reshape":
    case "Transpose":
    case "Identity":
      return typeOf(graph, node.inputs[0]);
    default:
      return undefined;
  }
}

/** Computed from nothing but the model's constants. */
function isConstant({ model, producers }: Graph, name: string): boolean {
  if (name === "" || model.constants.has(name)) return true;
  const node = producers.get(name);
  return (
    node !== undefined && [...node.inputs, ...node.captured].every((each) => isConstant({ model, producers }, each))
  );
}

const MATRIX_KINDS = new Set(["MatMul", "MatMulNBits", "FusedMatMul", "DynamicQuantizeMatMul", "MatMulBnb4"]);
/** What they give at a position hangs on that position alone. */
const ROW_KINDS = new Set(["Cast", "Add", "Mul", "Div", "Identity"]);

/** Backwards from the logits to the matrix that makes them. */
function findHead(graph: Graph): ExportParts["head"] {
  for (let name = LOGITS; ; ) {
    const reader = graph.producers.get(name);
    if (reader === undefined) return undefined;
    const own = reader.inputs.filter((each) => !isConstant(graph, each));
    const [first = ""] = own;
    if (MATRIX_KINDS.has(reader.kind))
      return own.length === 1 && first === reader.inputs[0] ? { name: first, reader } : undefined;
    if (reader.kind === "Mul" && own.length === 2) return quantisedHead(graph, own);
    if (own.length !== 1 || !ROW_KINDS.has(reader.kind)) return undefined;
    name = first;
  }
}

/** A matrix of bytes: its activations are quantised by one node, whose levels and scale meet again in the product. */
function quantisedHead(graph: Graph, names: readonly string[]): ExportParts["head"] {
  const sources = new Set<OnnxNode>();
  const open = [...names];
  for (const name of open) {
    const node = graph.producers.get(name);
    if (node === undefined || !["Cast", "Mul", "MatMulInteger", "DynamicQuantizeLinear"].includes(node.kind))
      return undefined;
    if (node.kind === "DynamicQuantizeLinear") sources.add(node);
    else open.push(...node.inputs.filter((each) => !isConstant(graph, each)));
  }
  const [reader] = sources;
  return sources.size === 1 && reader !== undefined ? { name: reader.inputs[0] ?? "", reader } : undefined;
}

export function readersOf(model: OnnxModel, name: string): OnnxNode[] {
  return model.nodes.filter(({ inputs, captured }) => inputs.includes(name) || captured.includes(name));
}

export function refused(model: OnnxModel, why: string): EngineError {
  return new EngineError("CHECKPOINT_UNSUPPORTED", `${model.file}: ${why}`);
}
