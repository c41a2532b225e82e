// Encoder: texts [n] -> vectors [n, vectorDim], unit length.
import type { Vector } from "../domain.ts";
import type { Problem } from "../errors.ts";
import { indexModelPath, type Pack } from "../pack/pack.ts";
import { int8Graph } from "./int8Graph.ts";
import type { Runtime } from "./runtime.ts";
import { openSession } from "./session.ts";
import { openStatesEncoder } from "./statesEncoder.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** A query asks for documents that are like it; some encoders want to be told which of the two a text is. */
export type TextKind = "query" | "document";

export interface Encoder {
  /**
   * The caller chooses texts of similar length. A CPU reads them one by one: it is faster than padding, and a text's
   * vector does not hang, in its last bits, on the texts beside it.
   */
  encode(texts: readonly string[], kind: TextKind): Promise<Vector[]>;
  close(): Promise<void>;
}

/** The graph alone. */
export interface EncoderGraph {
  readonly provider: string;
  /** Rows of token ids [n], each of one or more -> vectors [n]. */
  encodeRows(rows: readonly (readonly number[])[], padding: number): Promise<Vector[]>;
  close(): Promise<void>;
}

/** The part of a pack that holds its encoder. */
export interface EncoderFiles extends Pick<Pack, "dir" | "addOn"> {
  readonly manifest: Pick<Pack["manifest"], "encoder">;
}

export async function openEncoder(
  pack: EncoderFiles,
  tokenizer: Tokenizer,
  runtime: Runtime,
): Promise<{ encoder: Encoder; problems: Problem[] }> {
  const { maxTokens, before = [], after = [], instruction = "", states } = pack.manifest.encoder;
  const open = states === undefined ? openVectorsEncoder : openStatesEncoder;
  const { graph, problems } = await open(pack, runtime);
  const head = before.map((name) => tokenizer.idOf(name));
  const tail = after.map((name) => tokenizer.idOf(name));
  const padding = tail[0] ?? head[0] ?? tokenizer.idOf("<|endoftext|>");
  const room = maxTokens - head.length - tail.length;
  const encode = async (texts: readonly string[], kind: TextKind): Promise<Vector[]> => {
    const rows = texts.map((text) => {
      const own = tokenizer.encode(kind === "query" ? instruction + text : text).slice(0, room);
      const ids = [...head, ...own, ...tail];
      // An empty text still needs one position to attend to.
      return ids.length === 0 ? [padding] : ids;
    });
    const batch = graph.provider === "cpu" ? 1 : Math.max(1, rows.length);
    const vectors: Vector[] = [];
    for (let at = 0; at < rows.length; at += batch)
      vectors.push(...(await graph.encodeRows(rows.slice(at, at + batch), padding)));
    return vectors;
  };
  return { encoder: { encode, close: graph.close }, problems };
}

/** Of a graph that gives vectors. */
export async function openVectorsEncoder(
  pack: EncoderFiles,
  runtime: Runtime,
): Promise<{ graph: EncoderGraph; problems: Problem[] }> {
  const { file, vectorDim } = pack.manifest.encoder;
  const path = indexModelPath(pack, file);
  const { session, problems } = await openSession(path, {
    ...runtime,
    onCpu: () => int8Graph(path),
    inputs: [
      { name: "input_ids", type: "int64", dims: ["n", "t"] },
      { name: "lengths", type: "int32", dims: ["n"] },
    ],
    outputs: [{ name: "vectors", type: "float32", dims: ["n", vectorDim] }],
  });
  const encodeRows = async (rows: readonly (readonly number[])[], padding: number): Promise<Vector[]> => {
    const { ids, width } = padded(rows, padding);
    const { vectors } = await session.run({
      input_ids: { data: ids, dims: [rows.length, width] },
      lengths: { data: Int32Array.from(rows, (row) => row.length), dims: [rows.length] },
    });
    return splitRows(vectors?.data as Float32Array, rows.length, vectorDim);
  };
  return { graph: { provider: session.provider, encodeRows, close: session.close }, problems };
}

/** `[n, width]`, filled up on the right. */
export function padded(
  rows: readonly (readonly number[])[],
  padding: number,
): { readonly ids: BigInt64Array; readonly width: number } {
  const width = Math.max(...rows.map((ids) => ids.length));
  const ids = new BigInt64Array(rows.length * width).fill(BigInt(padding));
  rows.forEach((row, n) => {
    row.forEach((id, t) => {
      ids[n * width + t] = BigInt(id);
    });
  });
  return { ids, width };
}

/** `[n, width]` row-major -> n arrays of `width`, each with a buffer of its own. */
export function splitRows(data: Float32Array, n: number, width: number): Float32Array[] {
  return Array.from({ length: n }, (_, row) => data.slice(row * width, (row + 1) * width));
}
