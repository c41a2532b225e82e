// Vectors -> the pseudo-tokens the reader is fed, once for each node, at index time.
import type { Vector } from "../domain.ts";
import type { Models } from "../infer/models.ts";
import type { ChunkWrite, ParentWrite } from "../store/records.ts";
import type { EmbeddedChunk, EmbeddedFile } from "./embed.ts";

const BATCH = 64;

/** Vectors [n] -> rows [n] of [perNode * readerDim]. */
export async function project(
  vectors: readonly Vector[],
  models: Pick<Models, "project">,
  signal?: AbortSignal,
): Promise<Float32Array[]> {
  const rows: Float32Array[] = [];
  for (let at = 0; at < vectors.length; at += BATCH) {
    rows.push(...(await models.project(vectors.slice(at, at + BATCH), signal)));
  }
  return rows;
}

export interface ProjectedFile {
  readonly embedded: EmbeddedFile;
  readonly chunks: readonly ChunkWrite[];
  /** Undefined for a file without chunks. */
  readonly fused: ParentWrite | undefined;
}

/** Projects the file's vector, and those of its chunks whose pseudo-tokens are not known. */
export async function projectFiles(
  files: readonly { readonly embedded: EmbeddedFile; readonly vector: Vector | undefined }[],
  models: Pick<Models, "project">,
  signal?: AbortSignal,
): Promise<ProjectedFile[]> {
  const isNew = ({ pseudoTokens }: EmbeddedChunk) => pseudoTokens === undefined;
  const vectors = new Set<Vector>();
  for (const { embedded, vector } of files) {
    for (const chunk of embedded.chunks.filter(isNew)) vectors.add(chunk.vector);
    if (vector !== undefined) vectors.add(vector);
  }
  const rows = await project([...vectors], models, signal);
  const rowOf = new Map([...vectors].map((vector, n) => [vector, rows[n]]));
  const tokensOf = (vector: Vector): Float32Array => {
    const row = rowOf.get(vector);
    if (row === undefined) throw new RangeError(`the projector gave ${rows.length} rows for ${vectors.size} vectors`);
    return row;
  };
  return files.map(({ embedded, vector }) => ({
    embedded,
    chunks: embedded.chunks.map((chunk) => {
      const isFresh = chunk.pseudoTokens === undefined;
      return { ...chunk, pseudoTokens: chunk.pseudoTokens ?? tokensOf(chunk.vector), isFresh };
    }),
    fused: vector === undefined ? undefined : { ...fileNode(embedded), vector, pseudoTokens: tokensOf(vector) },
  }));
}

function fileNode({ file }: EmbeddedFile): Omit<ParentWrite, "vector" | "pseudoTokens"> {
  const { path, text } = file.source;
  return { level: "file", path, end: text.length, endLine: text.split(/\r\n|\n|\r/).length };
}
