// Encoder: texts [n] -> vectors [n, vectorDim], unit length.
import { join } from "node:path";
import type { Vector } from "../domain.ts";
import type { Problem } from "../errors.ts";
import type { Pack } from "../pack/pack.ts";
import type { Runtime } from "./runtime.ts";
import { openSession } from "./session.ts";
import type { Tokenizer } from "./tokenizer.ts";

export interface Encoder {
  /**
   * The caller chooses texts of similar length. A CPU reads them one by one: it is faster than padding, and a text's
   * vector does not hang, in its last bits, on the texts beside it.
   */
  encode(texts: readonly string[]): Promise<Vector[]>;
  close(): Promise<void>;
}

export async function openEncoder(
  pack: Pack,
  tokenizer: Tokenizer,
  runtime: Runtime,
): Promise<{ encoder: Encoder; problems: Problem[] }> {
  const { file, maxTokens, vectorDim } = pack.manifest.encoder;
  const { session, problems } = await openSession(join(pack.dir, file), {
    ...runtime,
    inputs: [
      { name: "input_ids", type: "int64", dims: ["n", "t"] },
      { name: "lengths", type: "int32", dims: ["n"] },
    ],
    outputs: [{ name: "vectors", type: "float32", dims: ["n", vectorDim] }],
  });
  const padding = tokenizer.idOf("<|endoftext|>");
  const encode = async (texts: readonly string[]): Promise<Vector[]> => {
    // An empty text still needs one position to attend to.
    const rows = texts.map((text) => {
      const ids = tokenizer.encode(text).slice(0, maxTokens);
      return ids.length === 0 ? [padding] : ids;
    });
    const batch = session.provider === "cpu" ? 1 : Math.max(1, rows.length);
    const vectors: Vector[] = [];
    for (let at = 0; at < rows.length; at += batch) vectors.push(...(await encodeRows(rows.slice(at, at + batch))));
    return vectors;
  };
  const encodeRows = async (rows: readonly (readonly number[])[]): Promise<Vector[]> => {
    const width = Math.max(...rows.map((ids) => ids.length));
    const ids = new BigInt64Array(rows.length * width).fill(BigInt(padding));
    rows.forEach((row, n) => {
      row.forEach((id, t) => {
        ids[n * width + t] = BigInt(id);
      });
    });
    const { vectors } = await session.run({
      input_ids: { data: ids, dims: [rows.length, width] },
      lengths: { data: Int32Array.from(rows, (row) => row.length), dims: [rows.length] },
    });
    return splitRows(vectors?.data as Float32Array, rows.length, vectorDim);
  };
  return { encoder: { encode, close: session.close }, problems };
}

/** `[n, width]` row-major -> n arrays of `width`, each with a buffer of its own. */
export function splitRows(data: Float32Array, n: number, width: number): Float32Array[] {
  return Array.from({ length: n }, (_, row) => data.slice(row * width, (row + 1) * width));
}
