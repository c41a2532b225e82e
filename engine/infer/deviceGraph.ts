// A reader's graph made over for a device that keeps its keys and values: what attention gives is returned whole, not cut
// to the new rows, so that a run's outputs are the next run's inputs and never leave the device.
import { readFile } from "node:fs/promises";
import { EngineError } from "../errors.ts";
import { Message } from "../pack/protobuf.ts";
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
    else copy(field, remade);
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
    else copy(field, remade);
  }
  return remade.encode();
}

function renameOutputs(node: Uint8Array, names: ReadonlyMap<string, string>): Uint8Array {
  const remade = new Message();
  for (const field of fieldsOf(node)) {
    const name = field.number === NODE.output ? names.get(textOf(field.bytes)) : undefined;
    if (name === undefined) copy(field, remade);
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

function textsOf(message: Uint8Array, number: number): string[] {
  return [...fieldsOf(message)].filter((field) => field.number === number).map(({ bytes }) => textOf(bytes));
}

const textOf = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);
const NOTHING = new Uint8Array(0);

interface Field {
  readonly number: number;
  /** Of a text, a message or a packed list. */
  readonly bytes?: Uint8Array;
  readonly integer?: bigint;
  /** The four bytes of a float. */
  readonly float?: number;
}

/** The fields of a message in their order; `bytes` are views of it. */
function* fieldsOf(message: Uint8Array): Generator<Field> {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = view.getUint8(at);
      at += 1;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = Number(varint());
    const number = tag >>> 3;
    switch (tag & 7) {
      case 0:
        yield { number, integer: varint() };
        break;
      case 2: {
        const length = Number(varint());
        yield { number, bytes: message.subarray(at, at + length) };
        at += length;
        break;
      }
      case 5:
        yield { number, float: view.getFloat32(at, true) };
        at += 4;
        break;
      default:
        throw new EngineError("PACK_INCOMPATIBLE", `a graph holds a field of wire type ${tag & 7}`);
    }
  }
}

function copy({ number, bytes, integer, float }: Field, into: Message): void {
  if (bytes !== undefined) into.bytes(number, bytes);
  else if (integer !== undefined) into.integer(number, integer);
  else if (float !== undefined) into.float(number, float);
}
