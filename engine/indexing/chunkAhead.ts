// Changed files -> batches of chunked files, in order. The chunk worker stays some files ahead of the models.
import type { Chunk } from "../domain.ts";
import type { Problem } from "../errors.ts";
import type { ChangedFile } from "./changes.ts";
import type { Chunker } from "./chunker.ts";

export interface ChunkedFile extends ChangedFile {
  readonly chunks: readonly Chunk[];
  readonly problems: readonly Problem[];
}

/** What is sent ahead: storing a batch takes as long as cutting many files, and the worker must not run dry meanwhile. */
const AHEAD_FILES = 256;
const AHEAD_CHARACTERS = 2 ** 22;

/** A batch is stored, and can be cancelled, as soon as it holds this much. */
const BATCH_CHUNKS = 128;
const BATCH_FILES = 64;

export async function* chunkAhead(
  changed: AsyncIterable<ChangedFile> | Iterable<ChangedFile>,
  chunker: Chunker,
  signal?: AbortSignal,
): AsyncGenerator<ChunkedFile[]> {
  const waiting: Promise<ChunkedFile>[] = [];
  let ahead = 0;
  let batch: ChunkedFile[] = [];
  let chunks = 0;
  const isFull = (file: ChunkedFile): boolean => {
    batch.push(file);
    chunks += file.chunks.length;
    return chunks >= BATCH_CHUNKS || batch.length >= BATCH_FILES;
  };
  const take = (): ChunkedFile[] => {
    const full = batch;
    batch = [];
    chunks = 0;
    return full;
  };
  for await (const file of changed) {
    const chunked = chunker.chunk(file.source, signal).then((result) => ({ ...file, ...result }));
    // Awaited below; until then a failure of a later file must not count as unhandled.
    chunked.catch(() => {});
    waiting.push(chunked);
    ahead += file.source.text.length;
    while (waiting.length > AHEAD_FILES || ahead > AHEAD_CHARACTERS) {
      const next = await waiting.shift();
      if (next === undefined) break;
      ahead -= next.source.text.length;
      if (isFull(next)) yield take();
    }
  }
  for (const next of waiting) if (isFull(await next)) yield take();
  if (batch.length > 0) yield take();
}
