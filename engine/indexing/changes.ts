// A workspace on the disk against the store -> the files whose text is another, read one after the other, and the paths
// that are gone. Files of the same size and time, or of the same text, cost no more than a look.
import type { SourceFile } from "../domain.ts";
import type { FileStamp, FileWrite } from "../store/records.ts";
import type { Store } from "../store/store.ts";
import { hashOf } from "./embed.ts";
import type { LeftOutBefore } from "./leftOutBefore.ts";
import { readSource } from "./readSource.ts";
import { type ScannedFile, type ScanOptions, scan } from "./scan.ts";
import type { SkippedFile } from "./skipReasons.ts";
import type { Tally } from "./tally.ts";

export interface ChangedFile {
  readonly source: SourceFile;
  readonly write: FileWrite;
}

export interface Found {
  readonly files: readonly ScannedFile[];
  /** Files and folders that could not be read this time: what is known of them stays. */
  readonly unreadable: readonly string[];
}

/** All of the workspace, or what lies at and below one path of it. */
export async function findFiles(options: ScanOptions, tally: Tally, signal?: AbortSignal, at = ""): Promise<Found> {
  const files: ScannedFile[] = [];
  const unreadable: string[] = [];
  for await (const scanned of scan(options, signal, at)) {
    if ("file" in scanned) {
      files.push(scanned.file);
    } else {
      tally.skip(scanned.skipped);
      if (scanned.skipped.reason === "unreadable") unreadable.push(scanned.skipped.path);
    }
  }
  return { files, unreadable };
}

/** Stored paths that the disk has no more, or that are no longer wanted. */
export function findGone(found: Found, stored: Iterable<string>): string[] {
  const present = new Set(found.files.map(({ path }) => path));
  const isUnknown = (path: string) =>
    found.unreadable.some((barred) => barred === "" || path === barred || path.startsWith(`${barred}/`));
  return [...stored].filter((path) => !present.has(path) && !isUnknown(path));
}

/** Reads what may have changed. Removes from the store what turns out not to be wanted. */
export async function* readChanged(
  files: readonly ScannedFile[],
  how: {
    readonly store: Store;
    readonly tally: Tally;
    /** Of the files, as the index last saw them. */
    readonly stampOf: (path: string) => FileStamp | undefined;
    /** Of a whole pass. */
    readonly leftOut?: LeftOutBefore;
    readonly maxFileBytes: number;
    readonly isForced: boolean;
    readonly signal: AbortSignal | undefined;
  },
  /** Called for each file that is left as it is stored, or left out. */
  onSame: (path: string) => void = () => {},
): AsyncGenerator<ChangedFile> {
  const { store, tally, stampOf, leftOut, maxFileBytes, isForced, signal } = how;
  for (const scanned of files) {
    signal?.throwIfAborted();
    const { path, size, mtimeMs } = scanned;
    const before = stampOf(path);
    if (!isForced && before?.size === size && before.mtimeMs === mtimeMs) {
      onSame(path);
      continue;
    }
    const unchanged = before === undefined ? leftOut?.find(scanned) : undefined;
    if (unchanged !== undefined) {
      tally.skip(unchanged);
      onSame(path);
      continue;
    }
    const read = await readSource(scanned, maxFileBytes);
    if ("skipped" in read) {
      tally.skip(read.skipped);
      leftOut?.add(scanned, read.skipped);
      if (before !== undefined && isUnwanted(read.skipped)) store.removeFile(path);
      onSame(path);
      continue;
    }
    const write = { path, hash: hashOf(read.file.text), size: read.size, mtimeMs: read.mtimeMs };
    if (isForced || before?.hash !== write.hash) {
      yield { source: read.file, write };
      continue;
    }
    store.touchFile(path, write);
    onSame(path);
  }
}

function isUnwanted({ reason }: SkippedFile): boolean {
  return reason !== "unreadable";
}
