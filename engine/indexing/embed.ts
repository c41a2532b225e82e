// Chunks -> vectors, in batches of texts of similar length so that little of a batch is padding.
import type { Chunk, Vector } from "../domain.ts";
import type { Models } from "../infer/models.ts";

const BATCH = 16;

/**
 * What the encoder reads of a chunk. The name line says what a method belongs to; the path stays out, so that a moved
 * file keeps its vectors. Training reads the same string from `precis chunks`.
 */
export function encoderText(chunk: Chunk): string {
  const { qualifiedName } = chunk.features;
  return qualifiedName === "" ? chunk.text : `# ${qualifiedName}\n${chunk.text}`;
}

/** Texts [n] -> vectors [n], in the order of the texts. */
export async function embed(
  texts: readonly string[],
  models: Pick<Models, "encode">,
  signal?: AbortSignal,
): Promise<Vector[]> {
  const byLength = [...texts.keys()].sort((a, b) => (texts[a]?.length ?? 0) - (texts[b]?.length ?? 0));
  const vectors: Vector[] = new Array(texts.length);
  for (let at = 0; at < byLength.length; at += BATCH) {
    const indexes = byLength.slice(at, at + BATCH);
    const found = await models.encode(
      indexes.map((index) => texts[index] ?? ""),
      "indexing",
      signal,
    );
    for (const [row, index] of indexes.entries()) {
      const vector = found[row];
      if (vector !== undefined) vectors[index] = vector;
    }
  }
  return vectors;
}
