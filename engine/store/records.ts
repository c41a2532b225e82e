// What goes into the store and comes out of it, beside the vocabulary of `domain.ts`.
import type { Chunk, Level, Vector } from "../domain.ts";

/** A file as the index last saw it. `size` and `mtimeMs` are -1 for text that came from an editor. */
export interface FileStamp {
  /** Of the whole text. */
  readonly hash: string;
  readonly size: number;
  readonly mtimeMs: number;
}

export interface FileWrite extends FileStamp {
  readonly path: string;
}

/** What makes a stored vector usable again: chunks of equal hash have equal vectors. */
export interface KnownChunk {
  readonly vector: Vector;
  readonly pseudoTokens: Float32Array;
}

export interface ChunkWrite extends KnownChunk {
  readonly chunk: Chunk;
  /** Of what the encoder read. */
  readonly hash: string;
  /** The vector was computed just now: it replaces a stored one of the same hash. */
  readonly isFresh: boolean;
}

/** A fused node. `end` and `endLine` are those of a file's text, 0 above. */
export interface ParentWrite extends KnownChunk {
  readonly level: Exclude<Level, "chunk">;
  readonly path: string;
  readonly end: number;
  readonly endLine: number;
}

/** All that is stored of one file; `fused` is its own node, undefined for a file without chunks. */
export interface WholeFile {
  readonly file: FileWrite;
  readonly chunks: readonly ChunkWrite[];
  readonly fused: ParentWrite | undefined;
}

/** A file or directory directly inside a directory. */
export interface Child {
  readonly path: string;
  readonly vector: Vector;
}

export interface StoreStats {
  readonly files: number;
  /** Of them those whose nodes went for want of room. */
  readonly droppedFiles: number;
  readonly chunks: number;
  /** Of all levels. */
  readonly nodes: number;
  readonly levels: Readonly<Record<Level, number>>;
  readonly dbBytes: number;
}

/** The directory that holds a file or directory; `""` is the repository's root, which has none. */
export function folderOf(path: string): string | undefined {
  return path === "" ? undefined : path.slice(0, Math.max(0, path.lastIndexOf("/")));
}
