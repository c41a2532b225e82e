// The matrices of an ONNX graph's products, read from its bytes alone: what its arithmetic is made of.
import type { MatrixFormat } from "../engine/pack/matrices.ts";

export interface GraphMatrix {
  readonly inputs: number;
  readonly outputs: number;
  readonly format: MatrixFormat;
}

/** Those read at every position: what follows the pooling over positions is read once a text. */
export function matricesPerPosition(model: Uint8Array): GraphMatrix[] {
  const graph = one(model, MODEL_GRAPH);
  const dims = new Map(all(graph, GRAPH_CONSTANT).map((tensor) => [text(tensor, TENSOR_NAME), integers(tensor, 1)]));
  const matrices: GraphMatrix[] = [];
  for (const node of all(graph, GRAPH_NODE)) {
    const kind = text(node, NODE_KIND);
    if (kind === "ReduceSum" || kind === "ReduceMean") break;
    const inputs = all(node, NODE_INPUT).map((bytes) => DECODER.decode(bytes));
    if (kind === "MatMulNBits") {
      const attributes = new Map(all(node, NODE_ATTRIBUTE).map((one) => [text(one, 1), integers(one, 3)[0] ?? 0]));
      const read = (name: string) => attributes.get(name) ?? 0;
      matrices.push({ inputs: read("K"), outputs: read("N"), format: read("bits") === 4 ? "q4" : "q8" });
    } else if (kind.startsWith("MatMul")) {
      const [rows, columns] = inputs.flatMap((name) => (dims.get(name)?.length === 2 ? [dims.get(name)] : []))[0] ?? [];
      if (rows !== undefined && columns !== undefined)
        matrices.push({ inputs: rows, outputs: columns, format: kind === "MatMul" ? "fp32" : "int8" });
    }
  }
  return matrices;
}

/** Field numbers of `onnx.proto`. */
const MODEL_GRAPH = 7;
const GRAPH_NODE = 1;
const GRAPH_CONSTANT = 5;
const NODE_INPUT = 1;
const NODE_KIND = 4;
const NODE_ATTRIBUTE = 5;
const TENSOR_NAME = 8;

const DECODER = new TextDecoder();

interface Field {
  readonly number: number;
  /** Of a length-delimited field. */
  readonly bytes: Uint8Array;
  /** Of a varint field. */
  readonly value: number;
}

function* fields(message: Uint8Array): Generator<Field> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = message[at++] ?? 0;
      value += (byte & 0x7f) * shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const key = varint();
    const number = Math.floor(key / 8);
    const kind = key % 8;
    const value = kind === 0 ? varint() : 0;
    const length = kind === 2 ? varint() : kind === 5 ? 4 : kind === 1 ? 8 : 0;
    yield { number, value, bytes: message.subarray(at, at + length) };
    at += length;
  }
}

function all(message: Uint8Array, number: number): Uint8Array[] {
  return [...fields(message)].filter((field) => field.number === number).map(({ bytes }) => bytes);
}

function one(message: Uint8Array, number: number): Uint8Array {
  return all(message, number)[0] ?? new Uint8Array();
}

function text(message: Uint8Array, number: number): string {
  return DECODER.decode(one(message, number));
}

/** Packed or one by one. */
function integers(message: Uint8Array, number: number): number[] {
  const found: number[] = [];
  for (const field of fields(message)) {
    if (field.number !== number) continue;
    if (field.bytes.length === 0) found.push(field.value);
    else {
      let value = 0;
      let shift = 1;
      for (const byte of field.bytes) {
        value += (byte & 0x7f) * shift;
        shift *= 128;
        if (byte >= 0x80) continue;
        found.push(value);
        value = 0;
        shift = 1;
      }
    }
  }
  return found;
}
