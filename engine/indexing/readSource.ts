// A scanned file -> its text, or the reason why it is left out. The file may have changed, grown or gone since the scan.
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { SourceFile } from "../domain.ts";
import { messageOf } from "../errors.ts";
import { reasonAgainst as reasonOfText } from "./contentRules.ts";
import type { NamedReason } from "./nameRules.ts";
import { isNotebook, mostBytes, readNotebook } from "./notebook.ts";
import { reasonOf, type ScannedFile } from "./scan.ts";
import type { SkippedFile, SkipReason } from "./skipReasons.ts";

export type ReadSource =
  | { readonly file: SourceFile; readonly size: number; readonly mtimeMs: number }
  | { readonly skipped: SkippedFile };

/** Without following a link put there since the scan, and without waiting for the other end of a pipe. */
const OPEN_FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** Bytes looked at before a larger file is read whole. */
const SNIFFED = 8192;

export async function readSource(scanned: ScannedFile, maxFileBytes: number): Promise<ReadSource> {
  const { path } = scanned;
  const skip = (reason: SkipReason, detail?: string): ReadSource => ({
    skipped: { path, reason, ...(detail === undefined ? {} : { detail }) },
  });
  let handle: FileHandle;
  try {
    handle = await open(scanned.absolutePath, OPEN_FLAGS);
  } catch (error) {
    return skip(reasonOf(error), messageOf(error));
  }
  try {
    const stats = await handle.stat();
    if (!stats.isFile()) return skip("unreadable", "not a regular file");
    if (stats.size > mostBytes(path, maxFileBytes)) return skip("too-large", `${Math.ceil(stats.size / 1024)} KiB`);
    const bytes = await readText(handle, stats.size);
    if (bytes === undefined) return skip("binary");
    const text = decode(bytes);
    if (text === undefined) return skip("not-utf8");
    const ruling = reasonAgainst(path, text, maxFileBytes);
    if (ruling !== undefined) return { skipped: { path, ...ruling } };
    return { file: { path, text }, size: stats.size, mtimeMs: stats.mtimeMs };
  } catch (error) {
    return skip(reasonOf(error), messageOf(error));
  } finally {
    await handle.close();
  }
}

/** Why a text, from the disk or from an editor, must not be indexed. Of a notebook, its code counts. */
export function reasonAgainst(path: string, text: string, maxFileBytes: number): NamedReason | undefined {
  if (!isNotebook(path)) return reasonOfText(path, text);
  const code = readNotebook(text)?.code ?? "";
  const size = Buffer.byteLength(code);
  return size > maxFileBytes
    ? { reason: "too-large", detail: `${Math.ceil(size / 1024)} KiB of code` }
    : reasonOfText(path, code);
}

/** Undefined as soon as the file is seen to be no text. */
async function readText(handle: FileHandle, size: number): Promise<Uint8Array | undefined> {
  if (size > SNIFFED) {
    const head = new Uint8Array(SNIFFED);
    const { bytesRead } = await handle.read(head, 0, SNIFFED, 0);
    if (isBinary(head.subarray(0, bytesRead))) return undefined;
  }
  const bytes = await handle.readFile();
  return isBinary(bytes) ? undefined : bytes;
}

/** Git's rule: text holds no zero byte. UTF-16 does, but is text in another encoding. */
function isBinary(bytes: Uint8Array): boolean {
  const mark = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
  return bytes.includes(0) && mark !== 0xfffe && mark !== 0xfeff;
}

/** A byte-order mark is dropped, as editors do, so that offsets agree with theirs. */
function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}
