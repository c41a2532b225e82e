// Chunked files -> the same with a vector for each chunk: the stored one where the same text was embedded before, in
// whatever file, else the encoder's. Texts of similar length share a batch, so that little of it is padding.
import { createHash } from "node:crypto";
import type { Chunk, Vector } from "../domain.ts";
import type { Models } from "../infer/models.ts";
import type { KnownChunk } from "../store/records.ts";
import type { ChunkedFile } from "./chunkAhead.ts";

const BATCH = 16;

export interface EmbeddedChunk {
  readonly chunk: Chunk;
  /** Of what the encoder read. */
  readonly hash: string;
  readonly vector: Vector;
  /** Undefined until `project` where the vector is new. */
  readonly pseudoTokens: Float32Array | undefined;
}

export interface EmbeddedFile {
  readonly file: ChunkedFile;
  readonly chunks: readonly EmbeddedChunk[];
  /** How many of them the encoder read just now; a text that comes twice is read once. */
  readonly embedded: number;
}

/** What an encoder reads of a chunk: its text, or its syntax tree in one line. */
export type Modality = "text" | "ast";

/**
 * What the encoder reads of a chunk. The name line says what a method belongs to; the path stays out, so that a moved
 * file keeps its vectors. Training reads the same string from `precis chunks`.
 */
export function encoderText(chunk: Chunk, modality: Modality = "text"): string {
  const { qualifiedName, linearised } = chunk.features;
  // What was not parsed has no syntax to read.
  if (modality === "ast") return linearised === "" ? chunk.text : linearised;
  return qualifiedName === "" ? chunk.text : `# ${qualifiedName}\n${chunk.text}`;
}

export async function embed(
  files: readonly ChunkedFile[],
  knownChunks: (hashes: Iterable<string>) => Map<string, KnownChunk>,
  models: Pick<Models, "encode">,
  modality: Modality,
  signal?: AbortSignal,
): Promise<EmbeddedFile[]> {
  const read = files.map((file) => ({ file, texts: file.chunks.map((chunk) => encoderText(chunk, modality)) }));
  const hashed = read.map(({ file, texts }) => ({ file, texts, hashes: texts.map(hashOf) }));
  const texts = new Map(hashed.flatMap((each) => each.texts.map((text, n) => [each.hashes[n] ?? "", text])));
  const known: Map<string, KnownChunk | { vector: Vector; pseudoTokens: undefined }> = knownChunks(texts.keys());
  const fresh = [...texts].filter(([hash]) => !known.has(hash));
  const vectors = await encodeAll(
    fresh.map(([, text]) => text),
    models,
    signal,
  );
  const unread = new Set(fresh.map(([hash]) => hash));
  for (const [n, [hash]] of fresh.entries()) known.set(hash, { vector: at(vectors, n), pseudoTokens: undefined });
  return hashed.map(({ file, hashes }) => ({
    file,
    chunks: file.chunks.map((chunk, n) => ({ chunk, hash: at(hashes, n), ...at([known.get(at(hashes, n))], 0) })),
    embedded: hashes.filter((hash) => unread.delete(hash)).length,
  }));
}

/** Texts [n] -> vectors [n], in the order of the texts. */
async function encodeAll(
  texts: readonly string[],
  models: Pick<Models, "encode">,
  signal?: AbortSignal,
): Promise<Vector[]> {
  const byLength = [...texts.keys()].sort((a, b) => at(texts, a).length - at(texts, b).length);
  const vectors: Vector[] = new Array(texts.length);
  for (let start = 0; start < byLength.length; start += BATCH) {
    const indexes = byLength.slice(start, start + BATCH);
    const found = await models.encode(
      indexes.map((index) => at(texts, index)),
      "indexing",
      signal,
    );
    for (const [row, index] of indexes.entries()) vectors[index] = at(found, row);
  }
  return vectors;
}

export function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("base64url");
}

function at<T>(list: readonly (T | undefined)[], index: number): T {
  const value = list[index];
  if (value === undefined) throw new RangeError(`${list.length} rows, number ${index} is missing`);
  return value;
}
