// A scanned file -> its text, or the reason why it is left out. The file may have changed, grown or gone since the scan.
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import type { SourceFile } from "../domain.ts";
import { messageOf } from "../errors.ts";
import { reasonOf, type ScannedFile } from "./scan.ts";
import type { SkippedFile, SkipReason } from "./skipReasons.ts";

export type ReadSource =
  | { readonly file: SourceFile; readonly size: number; readonly mtimeMs: number }
  | { readonly skipped: SkippedFile };

/** Without following a link put there since the scan, and without waiting for the other end of a pipe. */
const OPEN_FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** A private key with its body, and tokens whose shape leaves no doubt. */
const SECRETS = [
  /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----[\s"'\\n+]*(?:[A-Za-z0-9+/=]{40}|Proc-Type|Version)/,
  /\bAKIA(?![A-Z0-9]*EXAMPLE)[A-Z0-9]{16}\b/,
  /\bgh[pousr]_[A-Za-z0-9]{36}\b/,
  /\bgithub_pat_[A-Za-z0-9_]{60,}\b/,
  /\bxox[abprs]-[0-9]+-[0-9A-Za-z-]{20,}\b/,
  /\bAIza[0-9A-Za-z_-]{35}\b/,
  /\bsk_live_[0-9A-Za-z]{24,}\b/,
];

/** Code written by people stays far below these, in characters of a line. */
const LONGEST_LINE = 20_000;
const MEAN_LINE = 200;
/** Too short a text for its mean to tell anything. */
const MEAN_NEEDS = 4096;

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
    if (stats.size > maxFileBytes) return skip("too-large", `${stats.size} bytes`);
    const bytes = await handle.readFile();
    if (isBinary(bytes)) return skip("binary");
    const text = decode(bytes);
    if (text === undefined) return skip("not-utf8");
    const reason = reasonAgainst(text);
    if (reason !== undefined) return skip(reason);
    return { file: { path, text }, size: stats.size, mtimeMs: stats.mtimeMs };
  } catch (error) {
    return skip(reasonOf(error), messageOf(error));
  } finally {
    await handle.close();
  }
}

/** Why a text, from the disk or from an editor, must not be indexed. */
export function reasonAgainst(text: string): SkipReason | undefined {
  if (SECRETS.some((pattern) => pattern.test(text))) return "secret";
  return isMinified(text) ? "minified" : undefined;
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

function isMinified(text: string): boolean {
  let lines = 0;
  let length = 0;
  for (const line of text.split("\n")) {
    if (line.length > LONGEST_LINE) return true;
    if (line.trim() === "") continue;
    lines += 1;
    length += line.length;
  }
  return length >= MEAN_NEEDS && length / lines > MEAN_LINE;
}
