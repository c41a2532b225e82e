// The workspace folders of one window: an open `Workspace` each, found by document address, kept in step with the editor.
import { isAbsolute, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { SourceFile } from "./domain.ts";
import type { Engine, Workspace, WorkspaceOptions } from "./engine.ts";
import type { IndexOptions, IndexReport } from "./indexing/indexer.ts";
import { SKIP_REASONS, type SkipReason } from "./indexing/skipReasons.ts";
import type { SkippedFiles } from "./protocol.ts";

export interface Located {
  readonly workspace: Workspace;
  /** Relative to the workspace folder, with forward slashes. */
  readonly path: string;
}

export class Folders {
  readonly #open = new Map<string, Workspace>();
  /** Of each folder's last whole pass. */
  readonly #reports = new Map<string, IndexReport>();

  async open(engine: Engine, options: WorkspaceOptions): Promise<void> {
    if (!this.#open.has(options.root)) this.#open.set(options.root, await engine.openWorkspace(options));
  }

  close(root: string): void {
    this.#open.get(root)?.close();
    this.#open.delete(root);
    this.#reports.delete(root);
  }

  closeAll(): void {
    for (const root of [...this.#open.keys()]) this.close(root);
  }

  get all(): readonly Workspace[] {
    return [...this.#open.values()];
  }

  /** The innermost folder that holds the document; undefined outside all of them and for addresses that are no files. */
  locate(uri: string): Located | undefined {
    const file = fileOf(uri);
    if (file === undefined) return undefined;
    let best: Located | undefined;
    for (const [root, workspace] of this.#open) {
      const path = relative(root, file);
      if (path === "" || path.startsWith("..") || isAbsolute(path)) continue;
      if (best === undefined || path.length < best.path.length) best = { workspace, path: path.split(sep).join("/") };
    }
    return best;
  }

  /** One folder after another; `onProgress` gets percent over all folders. */
  async indexAll(
    options: IndexOptions,
    onProgress: (percent: number, message: string) => void,
  ): Promise<IndexReport[]> {
    const reports: IndexReport[] = [];
    const workspaces = this.all;
    for (const [n, workspace] of workspaces.entries()) {
      const report = await workspace.index({
        ...options,
        onProgress: ({ filesDone, filesTotal, currentPath }) => {
          const share = filesTotal === 0 ? 1 : filesDone / filesTotal;
          onProgress(((n + share) * 100) / workspaces.length, `${filesDone} of ${filesTotal} files, ${currentPath}`);
        },
      });
      reports.push(report);
      this.#reports.set(workspace.root, report);
    }
    return reports;
  }

  /** Reason -> files and folders left out of all workspace folders. */
  skipped(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { skipped } of this.#reports.values()) {
      for (const [reason, n] of Object.entries(skipped)) counts[reason] = (counts[reason] ?? 0) + n;
    }
    return counts;
  }

  skippedFiles(): SkippedFiles {
    const files = [...this.#reports].flatMap(([root, report]) =>
      report.skippedFiles.map((each) => ({ root, ...each })),
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
}

export function fileOf(uri: string): string | undefined {
  return uri.startsWith("file:") ? fileURLToPath(uri) : undefined;
}
