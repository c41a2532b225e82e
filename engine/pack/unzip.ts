// Files out of a zip, one at a time, so that a large one is never held whole. The only importer of yauzl.
import { createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { type Entry, open as openZip, type ZipFile } from "yauzl";
import { EngineError, messageOf } from "../errors.ts";

/** `wanted`: a path in the zip -> the file it becomes. Throws `GPU_LIBRARIES` where one is missing or the zip is none. */
export async function unzip(zip: string, wanted: ReadonlyMap<string, string>, signal: AbortSignal): Promise<void> {
  const missing = new Set(wanted.keys());
  const file = await opened(zip);
  try {
    for await (const entry of entriesOf(file)) {
      const to = wanted.get(entry.fileName);
      if (to === undefined) continue;
      await pipeline(await contentOf(file, entry), createWriteStream(to), { signal });
      missing.delete(entry.fileName);
    }
  } finally {
    file.close();
  }
  if (missing.size > 0) throw new EngineError("GPU_LIBRARIES", `${zip} holds no ${[...missing].join(", no ")}`);
}

function opened(zip: string): Promise<ZipFile> {
  return new Promise((resolve, reject) => {
    openZip(zip, { lazyEntries: true, autoClose: false }, (error, file) => {
      if (error === null) resolve(file);
      else reject(new EngineError("GPU_LIBRARIES", `${zip}: ${messageOf(error)}`, { cause: error }));
    });
  });
}

async function* entriesOf(file: ZipFile): AsyncGenerator<Entry> {
  for (;;) {
    const entry = await new Promise<Entry | undefined>((resolve, reject) => {
      const settle = (settled: () => void) => {
        file.removeAllListeners();
        settled();
      };
      file.once("entry", (found: Entry) => settle(() => resolve(found)));
      file.once("end", () => settle(() => resolve(undefined)));
      file.once("error", (error: Error) => settle(() => reject(error)));
      file.readEntry();
    });
    if (entry === undefined) return;
    yield entry;
  }
}

function contentOf(file: ZipFile, entry: Entry): Promise<NodeJS.ReadableStream> {
  return new Promise((resolve, reject) => {
    file.openReadStream(entry, (error, stream) => (error === null ? resolve(stream) : reject(error)));
  });
}
