// A folder -> its chunks as JSON lines, as the engine would index them: what training reads (`precis chunks`).
import type { AstFeatures, Chunk } from "../domain.ts";
import type { Chunker } from "./chunker.ts";
import { encoderText } from "./embed.ts";
import { readSource } from "./readSource.ts";
import { scan } from "./scan.ts";

/** One line of the export: a chunk with its features beside it. */
export type ExportedChunk = Omit<Chunk, "features"> &
  AstFeatures & {
    readonly path: string;
    /** What the encoder reads of the chunk. */
    readonly encoderText: string;
  };

/** Files sent ahead to the chunker while earlier ones are written. */
const AHEAD = 16;

/** The default of `index.maxFileKiB`. */
const DEFAULT_MAX_BYTES = 1024 * 1024;

export async function* exportChunks(
  dir: string,
  chunker: Chunker,
  maxFileBytes = DEFAULT_MAX_BYTES,
  signal?: AbortSignal,
): AsyncGenerator<ExportedChunk> {
  const waiting: Promise<ExportedChunk[]>[] = [];
  const options = { root: dir, exclude: [], maxFileBytes, supports: (path: string) => chunker.supports(path) };
  for await (const scanned of scan(options, signal)) {
    if (!("file" in scanned)) continue;
    const { file } = scanned;
    waiting.push(
      readSource(file, maxFileBytes).then(async (read) => {
        if (!("file" in read)) return [];
        const { chunks } = await chunker.chunk(read.file, signal);
        return chunks.map(({ features, ...chunk }) => ({
          path: file.path,
          ...chunk,
          encoderText: encoderText({ features, ...chunk }),
          ...features,
        }));
      }),
    );
    if (waiting.length >= AHEAD) yield* (await waiting.shift()) ?? [];
  }
  for (const chunks of waiting) yield* await chunks;
}
