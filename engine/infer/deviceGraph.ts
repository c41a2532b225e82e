// A reader's graph made over for a device that keeps its keys and values: what attention gives is returned whole, not cut
// to the new rows, so that a run's outputs are the next run's inputs and never leave the device.
import { readFile } from "node:fs/promises";
import { EngineError } from "../errors.ts";
import { copyField, fieldsOf, Message, textOf, textsOf } from "../pack/protobuf.ts";
import type { GraphBytes } from "./session.ts";

/** Numbers of the fields of ONNX's messages that are read or written here. */
const MODEL = { graph: 7 } as const;
const GRAPH = { node: 1, output: 12 } as const;
const NODE = { input: 1, output: 2, kind: 4 } as const;
const VALUE = { name: 1, type: 2 } as const;
const FLOAT = 1;

export interface KvDims {
  readonly kvHeads: number;
  readonly headDim: number;
}

/** Throws `PACK_INCOMPATIBLE` when the file's `present.*` outputs are not slices of something. */
export async function deviceGraph(file: string, dims: KvDims): Promise<GraphBytes> {
  const model = await readFile(file);
  const graphs = [...fieldsOf(model)].filter((field) => field.number === MODEL.graph);
  const graph = graphs[0]?.bytes;
  if (graph === undefined) throw new EngineError("PACK_INCOMPATIBLE", `${file} holds no graph`);
  const remade = new Message();
  for (const field of fieldsOf(model)) {
    if (field.number === MODEL.graph) remade.bytes(MODEL.graph, remakeGraph(graph, dims, file));
    else copyField(field, remade);
  }
  return { bytes: remade.encode(), file };
}

function remakeGraph(graph: Uint8Array, { kvHeads, headDim }: KvDims, file: string): Uint8Array {
  const nodes = [...fieldsOf(graph)].filter((field) => field.number === GRAPH.node).map(({ bytes = NOTHING }) => bytes);
  const isSlice = (node: Uint8Array) => kindOf(node) === "Slice" && isPresent(textsOf(node, NODE.output)[0]);
  const slices = nodes.filter(isSlice);
  /** What attention calls its result -> the graph's output. */
  const names = new Map(
    slices.map((node) => [textsOf(node, NODE.input)[0] ?? "", textsOf(node, NODE.output)[0] ?? ""]),
  );
  const outputs = [...fieldsOf(graph)].filter(({ number }) => number === GRAPH.output);
  const wanted = outputs.filter(({ bytes = NOTHING }) => isPresent(textsOf(bytes, VALUE.name)[0])).length;
  if (names.size === 0 || names.size !== wanted)
    throw new EngineError(
      "PACK_INCOMPATIBLE",
      `${file} returns ${wanted} present.* outputs, ${names.size} of them sliced`,
    );
  const remade = new Message();
  for (const field of fieldsOf(graph)) {
    const { number, bytes = NOTHING } = field;
    if (number === GRAPH.node && isSlice(bytes)) continue;
    if (number === GRAPH.node) remade.bytes(GRAPH.node, renameOutputs(bytes, names));
    else if (number === GRAPH.output && isPresent(textsOf(bytes, VALUE.name)[0]))
      remade.message(GRAPH.output, wholeValue(textsOf(bytes, VALUE.name)[0] ?? "", kvHeads, headDim));
    else copyField(field, remade);
  }
  return remade.encode();
}

function renameOutputs(node: Uint8Array, names: ReadonlyMap<string, string>): Uint8Array {
  const remade = new Message();
  for (const field of fieldsOf(node)) {
    const name = field.number === NODE.output ? names.get(textOf(field.bytes)) : undefined;
    if (name === undefined) copyField(field, remade);
    else remade.text(NODE.output, name);
  }
  return remade.encode();
}

/** Its length is no longer `T`: planned as such, its buffer would be too small. */
function wholeValue(name: string, kvHeads: number, headDim: number): Message {
  const shape = new Message();
  for (const dim of [1, kvHeads, "P", headDim])
    shape.message(1, typeof dim === "number" ? new Message().integer(1, dim) : new Message().text(2, dim));
  const tensor = new Message().integer(1, FLOAT).message(2, shape);
  return new Message().text(VALUE.name, name).message(VALUE.type, new Message().message(1, tensor));
}

function isPresent(name: string | undefined): boolean {
  return name?.startsWith("present.") === true;
}

function kindOf(node: Uint8Array): string | undefined {
  return textsOf(node, NODE.kind)[0];
}

const NOTHING = new Uint8Array(0);
