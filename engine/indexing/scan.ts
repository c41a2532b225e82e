// Workspace folder -> files worth indexing, folder by folder, and a reason for each one left out. Looks only
// at names and sizes; `readSource.ts` reads. Links are never followed, so nothing is met twice or lies outside the root.
import type { Stats } from "node:fs";
import { lstat, readdir, realpath, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { EngineError, errnoOf, messageOf } from "../errors.ts";
import { type IgnoreRules, type Ruling, readIgnoreRules } from "./ignoreRules.ts";
import { reasonOfName } from "./nameRules.ts";
import { mostBytes } from "./notebook.ts";
import type { SkippedFile, SkipReason } from "./skipReasons.ts";

export interface ScannedFile {
  /** Relative to the root, with forward slashes. */
  readonly path: string;
  readonly absolutePath: string;
  readonly size: number;
  readonly mtimeMs: number;
}

export type Scanned = { readonly file: ScannedFile } | { readonly skipped: SkippedFile };

export interface ScanOptions {
  readonly root: string;
  readonly exclude: readonly string[];
  readonly maxFileBytes: number;
  /** Whether the path may be indexed, as far as languages and settings say. */
  supports(path: string): boolean;
}

/** `at` is a file or folder of the workspace, `""` for all of it; gives nothing where there is nothing. */
export async function* scan(options: ScanOptions, signal?: AbortSignal, at = ""): AsyncGenerator<Scanned> {
  const root = await openRoot(options.root);
  const rules = readIgnoreRules(root, options.exclude);
  const folders: string[] = [];
  const kind = at === "" ? "folder" : await kindOf(root, at);
  if (kind === undefined) return;
  const ruling = kind === "link" ? { reason: "symlink" as const } : reasonAlong(at, kind, rules);
  if (ruling !== undefined) yield { skipped: { path: at, ...ruling } };
  else if (kind === "folder") folders.push(at);
  else yield await look(at, join(root, at), options);
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    signal?.throwIfAborted();
    const found = await listFolder(join(root, folder));
    if (found.error !== undefined) {
      yield { skipped: { path: folder, reason: reasonOf(found.error), detail: messageOf(found.error) } };
      continue;
    }
    const inner: string[] = [];
    for (const entry of found.entries) {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      const ruling = entry.isSymbolicLink()
        ? { reason: "symlink" as const }
        : rules.reasonAt(path, entry.isDirectory() ? "folder" : "file");
      if (ruling !== undefined) {
        yield { skipped: { path, ...ruling } };
      } else if (entry.isDirectory()) {
        inner.push(path);
      } else {
        yield await look(path, join(root, path), options);
      }
    }
    folders.push(...inner.reverse());
  }
}

async function openRoot(root: string): Promise<string> {
  try {
    const path = await realpath(root);
    if ((await stat(path)).isDirectory()) return path;
  } catch (error) {
    throw new EngineError("WORKSPACE_MISSING", `${root} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  throw new EngineError("WORKSPACE_MISSING", `${root} is not a folder`);
}

/** What lies at a path that was not reached folder by folder. A folder on the way that is a link makes it a link. */
async function kindOf(root: string, path: string): Promise<"file" | "folder" | "link" | undefined> {
  try {
    const found = await lstat(join(root, path));
    const outer = join(root, dirname(path));
    if (found.isSymbolicLink() || (await realpath(outer)) !== outer) return "link";
    return found.isDirectory() ? "folder" : "file";
  } catch (error) {
    const reason = reasonOf(error);
    // `look` says why it cannot be read.
    return reason === "vanished" ? undefined : "file";
  }
}

function reasonAlong(path: string, kind: "file" | "folder", rules: IgnoreRules): Ruling | undefined {
  for (let end = path.indexOf("/"); end !== -1; end = path.indexOf("/", end + 1)) {
    const ruling = rules.reasonAt(path.slice(0, end), "folder");
    if (ruling !== undefined) return ruling;
  }
  return path === "" ? undefined : rules.reasonAt(path, kind);
}

async function listFolder(path: string) {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    return { entries: entries.sort((a, b) => (a.name < b.name ? -1 : 1)), error: undefined };
  } catch (error) {
    return { entries: [], error };
  }
}

async function look(path: string, absolutePath: string, options: ScanOptions): Promise<Scanned> {
  const skip = (reason: SkipReason, detail?: string): Scanned => ({
    skipped: { path, reason, ...(detail === undefined ? {} : { detail }) },
  });
  const named = reasonOfName(path);
  if (named !== undefined) return { skipped: { path, ...named } };
  if (!options.supports(path)) return skip("unsupported");
  let stats: Stats;
  try {
    stats = await lstat(absolutePath);
  } catch (error) {
    return skip(reasonOf(error), messageOf(error));
  }
  // A pipe or a device would wait for ever, or never end.
  if (!stats.isFile()) return skip("unreadable", "not a regular file");
  const sized = reasonOfName(path, stats.size);
  if (sized !== undefined) return { skipped: { path, ...sized } };
  if (stats.size > mostBytes(path, options.maxFileBytes))
    return skip("too-large", `${Math.ceil(stats.size / 1024)} KiB`);
  return { file: { path, absolutePath, size: stats.size, mtimeMs: stats.mtimeMs } };
}

export function reasonOf(error: unknown): SkipReason {
  const errno = errnoOf(error);
  if (errno === undefined) throw error;
  return errno === "ENOENT" || errno === "ENOTDIR" ? "vanished" : "unreadable";
}
