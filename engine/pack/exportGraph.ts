// A stock export -> the two graphs a reader runs: token rows, and the decoder from rows on, with the inputs and outputs that
// the engine's sessions expect. The export's own nodes and weights stay as they are.
import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { EngineError } from "../errors.ts";
import { type ExportParts, type ExportShape, refused } from "./exportParts.ts";
import { createGraph, type OnnxGraph, TYPES } from "./onnxGraph.ts";
import type { OnnxModel, OnnxNode, StoredConstant } from "./onnxModel.ts";
import { copyField, fieldsOf, Message, textOf } from "./protobuf.ts";

/** Up to here a constant lies inside the graph, where the runtime sees it when it infers shapes. */
const INLINE_BYTES = 1024;
/** Bytes held at a time while a constant is copied. */
const HELD = 4 << 20;
const NODE_INPUT = 1;
const NODE_OUTPUT = 2;

/** `input_ids` -> `inputs_embeds`: the export's own lookup. */
export async function writeExportEmbed(file: string, parts: ExportParts, { readerDim }: ExportShape): Promise<void> {
  const { model, rows } = parts;
  await createGraph(
    file,
    "embed",
    async (graph) => {
      graph.input("input_ids", "int64", [1, "T"]);
      const output = graph.output("inputs_embeds", "float32", [1, "T", readerDim]);
      const given = model.inputs.find(({ name }) => name === "input_ids")?.type ?? TYPES.int64;
      const names = new Map([[output, "inputs_embeds/source"]]);
      if (given !== TYPES.int64) {
        names.set("input_ids", "input_ids/source");
        graph.op("Cast", ["input_ids"], { to: given }, "", "input_ids/source");
      }
      await adopt(graph, parts, [rows.name], new Set(["input_ids"]), names);
      graph.op("Cast", [names.get(rows.name) ?? rows.name], { to: TYPES.float32 }, "", output);
    },
    model,
  );
}

/**
 * The decoder: `inputs_embeds` and past keys and values -> logits of `logit_rows`, and the new keys and values alone. What the
 * export takes beside them, such as a mask, the graph makes of the lengths.
 */
export async function writeExportReader(file: string, parts: ExportParts, shape: ExportShape): Promise<void> {
  await createGraph(file, "reader", (graph) => buildReader(graph, parts, shape), parts.model);
}

async function buildReader(graph: OnnxGraph, parts: ExportParts, shape: ExportShape): Promise<void> {
  const { kvHeads, headDim, readerDim, vocabSize } = shape;
  const rows = graph.input("inputs_embeds", "float32", [1, "T", readerDim]);
  graph.input("seqlens_k", "int32", [1]);
  const total = graph.input("total_sequence_length", "int32", []);
  const logitRows = graph.input("logit_rows", "int64", ["R"]);
  const logits = graph.output("logits", "float32", [1, "R", vocabSize]);
  const positions = addPositions(graph, rows, total);
  const names = new Map([rows, "seqlens_k", total, logitRows, logits].map((name) => [name, `${name}/source`]));
  addMade(graph, parts, positions);
  graph.op("Cast", [rows], { to: parts.rows.type }, "", names.get(parts.rows.name) ?? parts.rows.name);
  for (const { name, type } of parts.past) {
    let read = graph.input(name, "float32", [1, kvHeads, "S", headDim]);
    if (!parts.readsRoom) read = graph.op("Slice", [read, graph.integers(0), positions.past, graph.integers(2)]);
    if (type !== TYPES.float32) read = graph.op("Cast", [read], { to: type });
    names.set(name, read);
  }
  for (const { name } of parts.present) names.set(name, `${name}/source`);
  const wanted = ["logits", ...parts.present.map(({ name }) => name)];
  const given = new Set([parts.rows.name, "input_ids", ...[...parts.past, ...parts.made].map(({ name }) => name)]);
  const nodes = nodesBehind(parts, wanted, given);
  const { head } = parts;
  const own = head === undefined ? undefined : graph.fresh("asked");
  for (const node of nodes) {
    // Only the rows that are asked for pass through the output matrix.
    if (node === head?.reader && own !== undefined) {
      graph.op("Gather", [names.get(head.name) ?? head.name, logitRows], { axis: 1 }, "", own);
      graph.adopt(renamed(node, new Map([...names, [head.name, own]])));
    } else graph.adopt(renamed(node, names));
  }
  await adoptConstants(graph, parts.model, nodes, names);
  let whole = names.get("logits") ?? "";
  if (own === undefined) whole = graph.op("Gather", [whole, logitRows], { axis: 1 });
  graph.op("Cast", [whole], { to: TYPES.float32 }, "", logits);
  for (const { name, type } of parts.present) {
    graph.output(name, "float32", [1, kvHeads, "T", headDim]);
    let present = names.get(name) ?? "";
    // Whoever keeps them on a device takes what the slice reads, which nothing else may read then.
    if (type !== TYPES.float32) present = graph.op("Cast", [present], { to: TYPES.float32 });
    else if (!parts.readsRoom) present = graph.op("Identity", [present]);
    graph.op("Slice", [present, positions.past, positions.end, graph.integers(2)], {}, "", name);
  }
}

/** Lengths as int64: `end` and `past` `[1]`, `count` and `total` scalars. */
interface Positions {
  readonly count: string;
  readonly total: string;
  readonly past: string;
  readonly end: string;
}

function addPositions(graph: OnnxGraph, rows: string, length: string): Positions {
  const total = graph.op("Cast", [length], { to: TYPES.int64 });
  const one = graph.constant("precis/one", BigInt64Array.of(1n), []);
  const count = graph.op("Gather", [graph.op("Shape", [rows]), one], { axis: 0 });
  const vector = (scalar: string) => graph.op("Reshape", [scalar, graph.integers(1)]);
  return { count, total, end: vector(total), past: vector(graph.op("Sub", [total, count])) };
}

/** Inputs of the export that follow from the lengths: everything read counts, each at its own position. */
function addMade(graph: OnnxGraph, parts: ExportParts, { count, total, past, end }: Positions): void {
  const single = graph.integers(1);
  const filled = (value: number, length: string, name: string, type: number) => {
    const whole = graph.op("Expand", [
      graph.integers(value),
      graph.op("Concat", [single, graph.op("Reshape", [length, single])], { axis: 0 }),
    ]);
    graph.op("Cast", [whole], { to: type }, "", name);
  };
  // Its length is read in places.
  filled(0, count, "input_ids", TYPES.int64);
  for (const { name, type } of parts.made) {
    if (name === "attention_mask") filled(1, total, name, type);
    else if (name === "position_ids") {
      const scalar = (value: string) => graph.op("Squeeze", [value]);
      const one = graph.constant("precis/one", BigInt64Array.of(1n), []);
      const range = graph.op("Range", [scalar(past), scalar(end), one]);
      graph.op("Cast", [graph.op("Reshape", [range, graph.integers(1, -1)])], { to: type }, "", name);
    } else {
      // All of them; the rows asked for are taken in front of the output matrix.
      const none = graph.constant("precis/none", BigInt64Array.of(0n), []);
      graph.op("Cast", [none], { to: type }, "", name);
    }
  }
}

async function adopt(
  graph: OnnxGraph,
  parts: ExportParts,
  wanted: readonly string[],
  given: ReadonlySet<string>,
  names: ReadonlyMap<string, string>,
): Promise<void> {
  const nodes = nodesBehind(parts, wanted, given);
  for (const node of nodes) graph.adopt(renamed(node, names));
  await adoptConstants(graph, parts.model, nodes, names);
}

/** The nodes that `wanted` hang on, in the model's order. Throws where they need more than `given`. */
function nodesBehind(parts: ExportParts, wanted: readonly string[], given: ReadonlySet<string>): OnnxNode[] {
  const { model, producers } = parts;
  const needed = new Set<OnnxNode>();
  const seen = new Set(wanted);
  for (const name of seen) {
    if (given.has(name) || name === "" || model.constants.has(name)) continue;
    const node = producers.get(name);
    if (node === undefined) {
      if (model.inputs.some((input) => input.name === name))
        throw refused(model, `its token table needs the input ${name}`);
      // A name of a branch's own.
      continue;
    }
    needed.add(node);
    for (const input of [...node.inputs, ...node.captured]) seen.add(input);
  }
  return model.nodes.filter((node) => needed.has(node));
}

function renamed(node: OnnxNode, names: ReadonlyMap<string, string>): Uint8Array {
  if (![...node.inputs, ...node.outputs].some((name) => names.has(name))) return node.message;
  const remade = new Message();
  for (const field of fieldsOf(node.message)) {
    const isName = field.number === NODE_INPUT || field.number === NODE_OUTPUT;
    const name = isName ? names.get(textOf(field.bytes)) : undefined;
    if (name === undefined) copyField(field, remade);
    else remade.text(field.number, name);
  }
  return remade.encode();
}

async function adoptConstants(
  graph: OnnxGraph,
  model: OnnxModel,
  nodes: readonly OnnxNode[],
  names: ReadonlyMap<string, string>,
): Promise<void> {
  const read = new Set(nodes.flatMap(({ inputs, captured }) => [...inputs, ...captured]));
  for (const constant of model.constants.values()) {
    if (!read.has(constant.name)) continue;
    if (names.has(constant.name)) throw refused(model, `it calls a constant ${constant.name}`);
    await adoptConstant(graph, constant);
  }
  const captured = nodes.flatMap((node) => node.captured).find((name) => names.has(name));
  if (captured !== undefined) throw refused(model, `a branch of it reads ${captured}`);
}

async function adoptConstant(graph: OnnxGraph, constant: StoredConstant): Promise<void> {
  const { name, type, dims, place, message } = constant;
  if (place === undefined) {
    if (message !== undefined) graph.adoptConstant(message);
    return;
  }
  if (place.bytes > INLINE_BYTES) await graph.largeConstant(name, { type, dims }, blocksOf(name, place));
  else for await (const raw of blocksOf(name, place)) graph.rawConstant(name, { type, dims }, raw);
}

/** Its bytes in order, a few at a time; one empty block where it has none. */
async function* blocksOf(name: string, place: NonNullable<StoredConstant["place"]>): AsyncGenerator<Uint8Array> {
  if (place.bytes === 0) yield new Uint8Array(0);
  const handle = await open(place.file, "r");
  try {
    for (let at = 0; at < place.bytes; ) {
      const block = new Uint8Array(Math.min(HELD, place.bytes - at));
      const { bytesRead } = await handle.read(block, 0, block.length, place.offset + at);
      if (bytesRead === 0) throw new EngineError("CHECKPOINT_INVALID", `${place.file} ends inside ${name}`);
      yield block.subarray(0, bytesRead);
      at += bytesRead;
    }
  } finally {
    await handle.close();
  }
}

/** sha256 of all constants, names and shapes among them. */
export async function constantsDigest({ constants }: OnnxModel): Promise<string> {
  const hash = createHash("sha256");
  for (const { name, type, dims, place, message } of constants.values()) {
    hash.update(JSON.stringify([name, type, dims]));
    if (place === undefined) hash.update(message ?? new Uint8Array(0));
    else for await (const block of blocksOf(name, place)) hash.update(block);
  }
  return hash.digest("hex");
}

/** Bytes of the constants, which the two graphs take between them; a table that both read is counted once. */
export function constantBytes({ constants }: OnnxModel): number {
  let bytes = 0;
  for (const { place } of constants.values()) bytes += place?.bytes ?? 0;
  return bytes;
}
