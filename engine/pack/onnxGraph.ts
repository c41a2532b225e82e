// An ONNX graph that grows node by node; its large constants lie in a second file, written as they are made.
import { type FileHandle, open, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { Message } from "./protobuf.ts";

/** ONNX element types that our graphs use, with their numbers in the format. */
export const TYPES = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7, float16: 10, bfloat16: 16 } as const;
export type ElementType = keyof typeof TYPES;

/** Numbers are fixed, strings are free. */
export type Dims = readonly (number | string)[];

export interface ConstantBlock {
  /** Or the format's number of another type, whose numbers are copied as they are. */
  readonly type: ElementType | number;
  readonly dims: readonly number[];
}

type Attribute = number | { readonly float: number } | { readonly text: string };

/** Domain of onnxruntime's own operators. */
export const MICROSOFT = "com.microsoft";

/** Runtimes map constants page by page. */
const PAGE = 4096;

/** What a graph takes over from another model, as its messages are. */
export interface GraphOrigin {
  readonly irVersion: number;
  readonly opsets: readonly Uint8Array[];
  readonly functions: readonly Uint8Array[];
}

/** Where large constants go. */
interface ConstantFile {
  readonly name: string;
  readonly handle: FileHandle;
}

/** Opened by `createGraph` and `graphBytes`. Methods return the name of what they add. */
export class OnnxGraph {
  readonly #constants: ConstantFile | undefined;
  readonly #graph = new Message();
  readonly #known = new Set<string>();
  readonly #origin: GraphOrigin | undefined;
  #offset = 0;
  #count = 0;

  /** Without a file large constants lie inside the graph too. */
  constructor(constants: ConstantFile | undefined, name: string, origin?: GraphOrigin) {
    this.#constants = constants;
    this.#origin = origin;
    this.#graph.text(2, name);
  }

  input(name: string, type: ElementType | number, dims: Dims): string {
    this.#graph.message(11, valueFor(name, type, dims));
    return name;
  }

  output(name: string, type: ElementType | number, dims: Dims): string {
    this.#graph.message(12, valueFor(name, type, dims));
    return name;
  }

  fresh(stem: string): string {
    this.#count += 1;
    return `${this.#stem}${stem}_${this.#count}`;
  }

  /** Names of an origin's are not taken twice. */
  get #stem(): string {
    return this.#origin === undefined ? "" : "precis/";
  }

  /** A node of the origin, as its message is. */
  adopt(node: Uint8Array): void {
    this.#graph.bytes(1, node);
  }

  /** A constant of the origin, as its message is. */
  adoptConstant(tensor: Uint8Array): void {
    this.#graph.bytes(5, tensor);
  }

  /** An empty input name stands for an optional input left out. */
  node(
    kind: string,
    inputs: readonly string[],
    outputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = "",
  ): void {
    const node = new Message();
    for (const input of inputs) node.text(1, input);
    for (const output of outputs) node.text(2, output);
    node.text(3, this.fresh("n")).text(4, kind);
    for (const [name, value] of Object.entries(attributes)) node.message(5, attributeOf(name, value));
    this.#graph.message(1, node.text(7, domain));
  }

  /** A node with one output, named `output` or afresh. */
  op(
    kind: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = "",
    output = this.fresh(kind.toLowerCase()),
  ): string {
    this.node(kind, inputs, [output], attributes, domain);
    return output;
  }

  /** A small constant, inside the graph's own file; the first of a name stays. */
  constant(
    name: string,
    values: Float32Array | Int32Array | BigInt64Array | Uint8Array,
    dims: readonly number[],
  ): string {
    if (this.#known.has(name)) return name;
    this.#known.add(name);
    this.#graph.message(5, tensorOf(name, typeOf(values), dims).bytes(9, bytesOf(values)));
    return name;
  }

  /** A small constant of any type, inside the graph's own file. */
  rawConstant(name: string, { type, dims }: ConstantBlock, raw: Uint8Array): string {
    this.#graph.message(5, tensorOf(name, type, dims).bytes(9, raw));
    return name;
  }

  integers(...values: readonly number[]): string {
    return this.constant(`${this.#stem}ints_${values.join("_")}`, BigInt64Array.from(values, BigInt), [values.length]);
  }

  /** A constant in the second file, if there is one. `blocks` are its consecutive parts; only one is held at a time. */
  async largeConstant(
    name: string,
    { type, dims }: ConstantBlock,
    blocks: AsyncIterable<ArrayBufferView> | Iterable<ArrayBufferView>,
  ): Promise<string> {
    if (this.#constants === undefined) {
      const parts: Uint8Array[] = [];
      for await (const block of blocks) parts.push(bytesOf(block));
      return this.rawConstant(name, { type, dims }, Buffer.concat(parts));
    }
    const { name: location, handle } = this.#constants;
    const start = Math.ceil(this.#offset / PAGE) * PAGE;
    let at = start;
    for await (const block of blocks) {
      const bytes = bytesOf(block);
      // A full disk may take a part without an error.
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at + done);
        done += bytesWritten;
      }
      at += bytes.length;
    }
    this.#offset = at;
    const tensor = tensorOf(name, type, dims);
    for (const [key, value] of [
      ["location", location],
      ["offset", String(start)],
      ["length", String(at - start)],
    ] as const)
      tensor.message(13, new Message().text(1, key).text(2, value));
    this.#graph.message(5, tensor.integer(14, 1));
    return name;
  }

  encode(): Uint8Array {
    const model = new Message()
      .integer(1, this.#origin?.irVersion ?? 9)
      .text(2, "precis")
      .message(7, this.#graph);
    for (const opset of this.#origin?.opsets ?? [opsetOf("", 18), opsetOf(MICROSOFT, 1)]) model.bytes(8, opset);
    for (const each of this.#origin?.functions ?? []) model.bytes(25, each);
    return model.encode();
  }
}

/** The file of a graph's large constants, beside the graph. */
export function constantsOf(file: string): string {
  return `${file}.data`;
}

/** Runs `build` on an empty graph and writes it to `file` and `constantsOf(file)`. */
export async function createGraph(
  file: string,
  name: string,
  build: (graph: OnnxGraph) => Promise<void>,
  origin?: GraphOrigin,
): Promise<void> {
  const constants = constantsOf(file);
  const handle = await open(constants, "w");
  try {
    const graph = new OnnxGraph({ name: basename(constants), handle }, name, origin);
    await build(graph);
    await writeFile(file, graph.encode());
  } finally {
    await handle.close();
  }
}

/** The same without files: all constants lie inside. */
export async function graphBytes(
  name: string,
  build: (graph: OnnxGraph) => Promise<void>,
  origin?: GraphOrigin,
): Promise<Uint8Array> {
  const graph = new OnnxGraph(undefined, name, origin);
  await build(graph);
  return graph.encode();
}

export function opsetOf(domain: string, version: number): Uint8Array {
  return new Message().text(1, domain).integer(2, version).encode();
}

function valueFor(name: string, type: ElementType | number, dims: Dims): Message {
  const shape = new Message();
  for (const dim of dims) {
    shape.message(1, typeof dim === "number" ? new Message().integer(1, dim) : new Message().text(2, dim));
  }
  const tensor = new Message().integer(1, numberOf(type)).message(2, shape);
  return new Message().text(1, name).message(2, new Message().message(1, tensor));
}

function attributeOf(name: string, value: Attribute): Message {
  const attribute = new Message().text(1, name);
  if (typeof value === "number") return attribute.integer(3, value).integer(20, 2);
  return "float" in value
    ? attribute.float(2, value.float).integer(20, 1)
    : attribute.text(4, value.text).integer(20, 3);
}

function tensorOf(name: string, type: ElementType | number, dims: readonly number[]): Message {
  const tensor = new Message();
  for (const dim of dims) tensor.integer(1, dim);
  return tensor.integer(2, numberOf(type)).text(8, name);
}

function numberOf(type: ElementType | number): number {
  return typeof type === "number" ? type : TYPES[type];
}

function typeOf(values: Float32Array | Int32Array | BigInt64Array | Uint8Array): ElementType {
  if (values instanceof Float32Array) return "float32";
  if (values instanceof Int32Array) return "int32";
  return values instanceof BigInt64Array ? "int64" : "uint8";
}

function bytesOf(values: ArrayBufferView): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
