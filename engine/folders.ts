// The workspace folders of one window: an open `Workspace` each, found by document address, kept in step with the editor.
import { realpathSync } from "node:fs";
import { basename, extname, isAbsolute, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { SourceFile } from "./domain.ts";
import type { Engine, Workspace, WorkspaceOptions } from "./engine.ts";
import { EngineError, errnoOf } from "./errors.ts";
import { readIgnoreRules } from "./indexing/ignoreRules.ts";
import type { IndexOptions, IndexProgress, IndexReport } from "./indexing/indexer.ts";
import { SKIP_REASONS, type SkipReason } from "./indexing/skipReasons.ts";
import type { SkippedFiles } from "./protocol.ts";

export interface Located {
  readonly workspace: Workspace;
  /** Relative to the workspace folder, with forward slashes. */
  readonly path: string;
}

/** A folder of the window and what the last pass over it found. */
export interface OpenFolder {
  readonly root: string;
  /** Undefined where it could not be opened. */
  readonly workspace: Workspace | undefined;
  readonly report: IndexReport | undefined;
  /** Milliseconds since 1970. */
  readonly indexedAt: number | undefined;
  readonly error: EngineError | undefined;
}

interface Held {
  readonly workspace: Workspace | undefined;
  /** Ends the pass over this folder alone. */
  readonly closing: AbortController;
  report?: IndexReport;
  indexedAt?: number;
  error?: EngineError;
}

export class Folders {
  readonly #held = new Map<string, Held>();

  /** A folder that cannot be opened keeps its error and stops no other. */
  async open(engine: Engine, options: WorkspaceOptions): Promise<void> {
    const { root } = options;
    if (this.#held.get(root)?.workspace !== undefined) return;
    const closing = new AbortController();
    try {
      this.#held.set(root, { workspace: await engine.openWorkspace(options), closing });
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      this.#held.set(root, { workspace: undefined, closing, error });
    }
  }

  /** The pass over that folder ends soon; `close` may be called once it has. */
  leave(root: string): void {
    this.#held.get(root)?.closing.abort();
  }

  close(root: string): void {
    this.#held.get(root)?.workspace?.close();
    this.#held.delete(root);
  }

  closeAll(): void {
    for (const root of [...this.#held.keys()]) this.close(root);
  }

  get roots(): readonly string[] {
    return [...this.#held.keys()];
  }

  get all(): readonly OpenFolder[] {
    return [...this.#held].map(([root, { workspace, report, indexedAt, error }]) => ({
      root,
      workspace,
      report,
      indexedAt,
      error,
    }));
  }

  /** The innermost folder that holds the document; undefined outside all of them and for addresses that are no files. */
  locate(uri: string): Located | undefined {
    const file = fileOf(uri);
    if (file === undefined) return undefined;
    let best: Located | undefined;
    for (const [root, { workspace }] of this.#held) {
      const path = insideOf(root, file);
      if (workspace === undefined || path === undefined || path === "") continue;
      if (best === undefined || path.length < best.path.length) best = { workspace, path };
    }
    return best;
  }

  /**
   * What a document that has not been saved yet is completed from: the folder it will be saved in where the editor knows it,
   * else the window's first. `ending` is added to a name that has none, so that it reads as the file it will be.
   */
  locateUnsaved(uri: string, ending: string): Located | undefined {
    const name = uri.slice(uri.indexOf(":") + 1);
    const saved = this.locate(`file://${name}`);
    if (saved !== undefined) return saved;
    const workspace = [...this.#held.values()].find((held) => held.workspace !== undefined)?.workspace;
    if (workspace === undefined) return undefined;
    const path = basename(decodeURIComponent(name));
    return { workspace, path: extname(path) === "" ? path + ending : path };
  }

  /**
   * One folder after another; `onProgress` gets percent over all folders. A folder that cannot be read keeps its error
   * and stops no other. Rejects with the signal's reason when aborted.
   */
  async indexAll(
    options: IndexOptions,
    onProgress: (percent: number, progress: IndexProgress & { readonly root: string }) => void,
  ): Promise<IndexReport[]> {
    const reports: IndexReport[] = [];
    const folders = [...this.#held];
    for (const [n, [root, held]] of folders.entries()) {
      const { workspace, closing } = held;
      if (workspace === undefined) continue;
      const signal = options.signal === undefined ? closing.signal : AbortSignal.any([options.signal, closing.signal]);
      try {
        held.report = await workspace.index({
          ...options,
          signal,
          onProgress: (progress) => {
            const share = progress.filesTotal === 0 ? 1 : progress.filesDone / progress.filesTotal;
            onProgress(((n + share) * 100) / folders.length, { ...progress, root });
          },
        });
        // One that another window writes was only looked at.
        if (!workspace.isReadOnly) held.indexedAt = Date.now();
        delete held.error;
        reports.push(held.report);
      } catch (error) {
        if (closing.signal.aborted && options.signal?.aborted !== true) continue;
        if (!(error instanceof EngineError)) throw error;
        held.error = error;
      }
    }
    return reports;
  }

  /** Reason -> files and folders left out of all workspace folders. */
  skipped(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { report } of this.#held.values()) {
      for (const [reason, n] of Object.entries(report?.skipped ?? {})) counts[reason] = (counts[reason] ?? 0) + n;
    }
    return counts;
  }

  skippedFiles(): SkippedFiles {
    const files = [...this.#held].flatMap(([root, { report }]) =>
      (report?.skippedFiles ?? []).map((each) => ({ root, ...each })),
    );
    const byReason = Map.groupBy(files, ({ reason }) => reason);
    const counts = Object.entries(this.skipped()).sort(([, a], [, b]) => b - a) as [SkipReason, number][];
    const reasons = counts.map(([reason, count]) => ({
      reason,
      meaning: SKIP_REASONS[reason],
      count,
      files: (byReason.get(reason) ?? []).map(({ reason: _, ...file }) => file),
    }));
    return { reasons };
  }

  /** Unsaved text of an indexed file. Files the index left out stay left out. */
  async update(uri: string, text: string): Promise<void> {
    const located = this.locate(uri);
    if (located === undefined || !located.workspace.has(located.path)) return;
    const file: SourceFile = { path: located.path, text };
    await located.workspace.update({ changed: [file], removed: [] });
  }

  /** Files and folders that may have changed on the disk; those outside every workspace folder are left alone. */
  async refresh(uris: readonly string[], signal?: AbortSignal): Promise<void> {
    const located = uris.flatMap((uri) => this.locate(uri) ?? []);
    const byWorkspace = Map.groupBy(located, ({ workspace }) => workspace);
    for (const [workspace, group] of byWorkspace)
      await workspace.refresh(
        group.map(({ path }) => path),
        signal,
      );
  }
}

/**
 * Which of the roots need a store of their own, each with the roots inside it that it covers. A folder inside another
 * is read with it, so that no text is stored twice; one that the outer folder leaves out, or reaches by a link only, is not.
 */
export function coverOf(roots: Iterable<string>, exclude: readonly string[]): Map<string, readonly string[]> {
  const inOrder = [...new Set(roots)];
  const cover = new Map<string, string[]>();
  for (const root of inOrder.toSorted((a, b) => a.length - b.length)) {
    const outer = [...cover.keys()].find((candidate) => isReadWith(candidate, root, exclude));
    if (outer === undefined) cover.set(root, []);
    else cover.get(outer)?.push(root);
  }
  return new Map([...cover].sort(([a], [b]) => inOrder.indexOf(a) - inOrder.indexOf(b)));
}

function isReadWith(outer: string, inner: string, exclude: readonly string[]): boolean {
  const path = insideOf(outer, inner);
  if (path === undefined) return false;
  if (path === "") return true;
  try {
    if (realpathSync(inner) !== join(realpathSync(outer), ...path.split("/"))) return false;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    // What does not exist is in nothing; opening it says so.
    return false;
  }
  const rules = readIgnoreRules(outer, exclude);
  const parts = path.split("/");
  return parts.every((_, index) => rules.reasonAt(parts.slice(0, index + 1).join("/"), "folder") === undefined);
}

/** The path of `file` seen from `root`, with forward slashes, `""` for the root itself; undefined outside it. */
function insideOf(root: string, file: string): string | undefined {
  const path = relative(root, file);
  if (isAbsolute(path) || path === ".." || path.startsWith(`..${sep}`)) return undefined;
  return path.split(sep).join("/");
}

/** Path of a document on this machine's disk; undefined for any other kind of address. */
export function fileOf(uri: string): string | undefined {
  if (!uri.startsWith("file:")) return undefined;
  try {
    return fileURLToPath(uri);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    // `file://server/share` away from Windows, or an encoded slash: no path here.
    return undefined;
  }
}
