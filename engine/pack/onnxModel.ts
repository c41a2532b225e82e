// An ONNX file read without its weights: nodes, inputs and outputs whole, of a constant only where its numbers lie.
import { type FileHandle, open } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";
import { EngineError, errnoOf, messageOf } from "../errors.ts";
import { type Field, fieldsOf, readVarint, textOf, textsOf } from "./protobuf.ts";

/** A node, and how often its parts were named: an empty name is an optional input left out. */
export interface OnnxNode {
  readonly kind: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Names that its branches read from outside of them. */
  readonly captured: readonly string[];
  readonly message: Uint8Array;
}

/** Of an input or an output. */
export interface OnnxValue {
  readonly name: string;
  /** The format's number of the element type. */
  readonly type: number;
  readonly dims: readonly (number | string)[];
}

export interface StoredConstant {
  readonly name: string;
  readonly type: number;
  readonly dims: readonly number[];
  /** Where its numbers lie, little-endian; absent where `message` holds them in another way. */
  readonly place?: { readonly file: string; readonly offset: number; readonly bytes: number };
  readonly message?: Uint8Array;
}

export interface OnnxModel {
  readonly file: string;
  readonly irVersion: number;
  readonly producer: string;
  /** Messages as they are: operator sets, functions. */
  readonly opsets: readonly Uint8Array[];
  readonly functions: readonly Uint8Array[];
  readonly nodes: readonly OnnxNode[];
  readonly constants: ReadonlyMap<string, StoredConstant>;
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

const MODEL = { irVersion: 1, producer: 2, graph: 7, opset: 8, function: 25 } as const;
const GRAPH = { node: 1, constant: 5, input: 11, output: 12, sparse: 15 } as const;
const NODE = { input: 1, output: 2, kind: 4, attribute: 5, domain: 7 } as const;
const ATTRIBUTE = { graph: 6, graphs: 11 } as const;
const TENSOR = { dims: 1, type: 2, floats: 4, name: 8, raw: 9, external: 13 } as const;
const FLOAT = 1;
/** Of a node's or a value's message, or a constant's without its numbers. */
const MOST_BYTES = 64 << 20;

/** Throws `CHECKPOINT_INVALID` where the file is not one, or a constant's numbers are missing or cut short. */
export async function readOnnxModel(file: string): Promise<OnnxModel> {
  const handle = await openFile(file);
  try {
    return await readModel(file, new Bytes(handle, file), (await handle.stat()).size);
  } finally {
    await handle.close();
  }
}

async function readModel(file: string, bytes: Bytes, size: number): Promise<OnnxModel> {
  const opsets: Uint8Array[] = [];
  const functions: Uint8Array[] = [];
  const nodes: OnnxNode[] = [];
  const constants = new Map<string, StoredConstant>();
  const inputs: OnnxValue[] = [];
  const outputs: OnnxValue[] = [];
  let irVersion = 0;
  let producer = "";
  let hasGraph = false;
  const sizes = new Map<string, number>();
  for await (const field of bytes.fields(0, size)) {
    if (field.number === MODEL.irVersion) irVersion = Number(field.integer);
    else if (field.number === MODEL.producer) producer = textOf(await bytes.of(field));
    else if (field.number === MODEL.opset) opsets.push(await bytes.of(field));
    else if (field.number === MODEL.function) functions.push(await bytes.of(field));
    else if (field.number === MODEL.graph) {
      hasGraph = true;
      for await (const part of bytes.fields(field.from, field.until)) {
        if (part.number === GRAPH.node) nodes.push(nodeOf(await bytes.of(part)));
        else if (part.number === GRAPH.input) inputs.push(slotOf(await bytes.of(part)));
        else if (part.number === GRAPH.output) outputs.push(slotOf(await bytes.of(part)));
        else if (part.number === GRAPH.constant) {
          const constant = await constantOf(file, bytes, part, sizes);
          constants.set(constant.name, constant);
        } else if (part.number === GRAPH.sparse)
          throw new EngineError("CHECKPOINT_UNSUPPORTED", `${file} has sparse constants`);
      }
    }
  }
  if (!hasGraph || nodes.length === 0) throw invalid(`${file} is not an ONNX model`);
  return { file, irVersion, producer, opsets, functions, nodes, constants, inputs, outputs };
}

export function nodeOf(message: Uint8Array): OnnxNode {
  const texts = (number: number) => textsOf(message, number);
  const branches = [...fieldsOf(message)]
    .filter(({ number }) => number === NODE.attribute)
    .flatMap(({ bytes = NOTHING }) => [...fieldsOf(bytes)])
    .filter(({ number }) => number === ATTRIBUTE.graph || number === ATTRIBUTE.graphs);
  return {
    kind: texts(NODE.kind)[0] ?? "",
    domain: texts(NODE.domain)[0] ?? "",
    inputs: texts(NODE.input),
    outputs: texts(NODE.output),
    captured: branches.flatMap(({ bytes = NOTHING }) => readBy(bytes)),
    message,
  };
}

/** A whole number that is a node's attribute; undefined where it has none of that name. */
export function integerOf(node: OnnxNode, name: string): number | undefined {
  for (const { number, bytes = NOTHING } of fieldsOf(node.message)) {
    if (number !== NODE.attribute) continue;
    const fields = [...fieldsOf(bytes)];
    if (fields.some((field) => field.number === 1 && textOf(field.bytes) === name))
      return Number(fields.find((field) => field.number === 3)?.integer ?? 0n);
  }
  return undefined;
}

/** Every name that a branch's nodes read; its own among them do no harm. */
function readBy(graph: Uint8Array): string[] {
  return [...fieldsOf(graph)]
    .filter(({ number }) => number === GRAPH.node || number === GRAPH.output)
    .flatMap(({ number, bytes = NOTHING }) => {
      if (number === GRAPH.output) return textsOf(bytes, 1);
      const { inputs, captured } = nodeOf(bytes);
      return [...inputs, ...captured];
    });
}

function slotOf(message: Uint8Array): OnnxValue {
  const inside = (outer: Uint8Array, number: number): Uint8Array =>
    [...fieldsOf(outer)].find((field) => field.number === number)?.bytes ?? NOTHING;
  const tensor = inside(inside(message, 2), 1);
  const type = [...fieldsOf(tensor)].find(({ number }) => number === 1)?.integer;
  const dims = [...fieldsOf(inside(tensor, 2))].map(({ bytes = NOTHING }) => {
    const [dim] = fieldsOf(bytes);
    return dim?.integer === undefined ? textOf(dim?.bytes) : Number(dim.integer);
  });
  return { name: textsOf(message, 1)[0] ?? "", type: Number(type ?? 0n), dims };
}

/** A field of a file; `from` and `until` are the bytes of a text, a message or a packed list. */
interface PlacedField extends Pick<Field, "number" | "integer"> {
  readonly from: number;
  readonly until: number;
}

async function constantOf(
  file: string,
  bytes: Bytes,
  field: PlacedField,
  sizes: Map<string, number>,
): Promise<StoredConstant> {
  const dims: number[] = [];
  const external = new Map<string, string>();
  let name = "";
  let type = 0;
  let place: StoredConstant["place"];
  let isRaw = false;
  for await (const part of bytes.fields(field.from, field.until)) {
    if (part.number === TENSOR.type) type = Number(part.integer);
    else if (part.number === TENSOR.name) name = textOf(await bytes.of(part));
    else if (part.number === TENSOR.dims && part.integer !== undefined) dims.push(Number(part.integer));
    else if (part.number === TENSOR.dims) dims.push(...integersOf(await bytes.of(part)));
    else if (part.number === TENSOR.external) {
      const entry = await bytes.of(part);
      external.set(textsOf(entry, 1)[0] ?? "", textsOf(entry, 2)[0] ?? "");
    } else if (part.number === TENSOR.raw || part.number === TENSOR.floats) {
      place = { file, offset: part.from, bytes: part.until - part.from };
      isRaw = part.number === TENSOR.raw;
    }
  }
  if (external.size > 0) place = await externalPlace(file, name, external, sizes);
  // Packed float32 numbers are the raw ones; what other fields hold is written in another way.
  const isPlain = external.size > 0 || isRaw || (type === FLOAT && place?.bytes === 4 * countOf(dims));
  if (place !== undefined && isPlain) return { name, type, dims, place };
  return { name, type, dims, message: await bytes.of(field) };
}

function countOf(dims: readonly number[]): number {
  return dims.reduce((product, dim) => product * dim, 1);
}

async function externalPlace(
  file: string,
  name: string,
  external: ReadonlyMap<string, string>,
  sizes: Map<string, number>,
): Promise<NonNullable<StoredConstant["place"]>> {
  const location = normalize(external.get("location") ?? "");
  if (/^(\.\.|[\\/]|[a-zA-Z]:)/.test(location) || location === ".")
    throw invalid(`${file} keeps ${name} in ${location}, which is no file of its folder`);
  const at = join(dirname(file), location);
  const size = sizes.get(at) ?? (await sizeOf(at));
  sizes.set(at, size);
  const offset = Number(external.get("offset") ?? 0);
  const length = Number(external.get("length") ?? size - offset);
  if (!(offset >= 0 && length >= 0)) throw invalid(`${file} does not say where ${name} lies`);
  if (offset + length > size)
    throw invalid(`${at} has ${size} bytes and should have ${offset + length}: it was cut short`);
  return { file: at, offset, bytes: length };
}

async function sizeOf(file: string): Promise<number> {
  const handle = await openFile(file);
  try {
    return (await handle.stat()).size;
  } finally {
    await handle.close();
  }
}

function integersOf(packed: Uint8Array): number[] {
  const values: number[] = [];
  for (let at = 0; at < packed.length; ) {
    const { value, length } = readVarint(packed, at);
    values.push(Number(value));
    at += length;
  }
  return values;
}

/** A file's bytes, a window of them in memory. */
class Bytes {
  readonly #handle: FileHandle;
  readonly #file: string;
  #window = new Uint8Array(0);
  #from = 0;

  constructor(handle: FileHandle, file: string) {
    this.#handle = handle;
    this.#file = file;
  }

  /** The fields between two bytes, without what is inside them. */
  async *fields(from: number, until: number): AsyncGenerator<PlacedField> {
    for (let at = from; at < until; ) {
      // A tag and a length or a number.
      const head = await this.#read(at, Math.min(20, until - at));
      const tag = readVarint(head, 0);
      const number = Number(tag.value >> 3n);
      const rest = readVarint(head, tag.length);
      const start = at + tag.length + rest.length;
      switch (Number(tag.value & 7n)) {
        case 0:
          yield { number, integer: rest.value, from: start, until: start };
          at = start;
          break;
        case 1:
        case 5: {
          const end = at + tag.length + (Number(tag.value & 7n) === 1 ? 8 : 4);
          yield { number, from: end, until: end };
          at = end;
          break;
        }
        case 2: {
          const end = start + Number(rest.value);
          if (number === 0 || end > until) throw invalid(`${this.#file} is not an ONNX model, or was cut short`);
          yield { number, from: start, until: end };
          at = end;
          break;
        }
        default:
          throw invalid(`${this.#file} is not an ONNX model`);
      }
    }
  }

  /** A copy of what is inside a field. */
  async of({ from, until }: PlacedField): Promise<Uint8Array> {
    if (until - from > MOST_BYTES) throw invalid(`${this.#file} holds a message of ${until - from} bytes`);
    return (await this.#read(from, until - from)).slice();
  }

  async #read(at: number, count: number): Promise<Uint8Array> {
    if (at < this.#from || at + count > this.#from + this.#window.length) {
      const window = new Uint8Array(Math.max(count, 1 << 16));
      const { bytesRead } = await this.#handle.read(window, 0, window.length, at);
      if (bytesRead < count) throw invalid(`${this.#file} was cut short`);
      this.#window = window.subarray(0, bytesRead);
      this.#from = at;
    }
    return this.#window.subarray(at - this.#from, at - this.#from + count);
  }
}

async function openFile(file: string): Promise<FileHandle> {
  try {
    return await open(file, "r");
  } catch (error) {
    if (errnoOf(error) === "ENOENT") throw invalid(`${file} is missing`, error);
    throw invalid(`${file} cannot be read: ${messageOf(error)}`, error);
  }
}

function invalid(detail: string, cause?: unknown): EngineError {
  return new EngineError("CHECKPOINT_INVALID", detail, { cause });
}

const NOTHING = new Uint8Array(0);
