// Token ids -> the reader's input rows.
import type { ReaderInput } from "../domain.ts";
import type { Session } from "./session.ts";

export async function tokenRows(embedding: Session, tokens: ArrayLike<number>): Promise<Float32Array> {
  if (tokens.length === 0) return new Float32Array(0);
  const ids = BigInt64Array.from(Array.from(tokens), BigInt);
  const { inputs_embeds } = await embedding.run({ input_ids: { data: ids, dims: [1, ids.length] } });
  return inputs_embeds?.data as Float32Array;
}

/** Rows `[positions - from, readerDim]` of the reader's input after position `from`. */
export async function inputRows(
  embedding: Session,
  input: ReaderInput,
  from: number,
  readerDim: number,
): Promise<Float32Array> {
  const pseudoRows = input.pseudoTokens.length / readerDim;
  const pseudo = input.pseudoTokens.subarray(Math.min(from, pseudoRows) * readerDim);
  const embedded = await tokenRows(embedding, input.tokens.subarray(Math.max(0, from - pseudoRows)));
  const rows = new Float32Array(pseudo.length + embedded.length);
  rows.set(pseudo);
  rows.set(embedded, pseudo.length);
  return rows;
}
