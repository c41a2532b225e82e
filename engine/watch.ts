// A workspace folder without an editor: what changes on the disk goes into its index at once. The only importer of
// chokidar; an editor brings a watcher of its own.
import { relative, sep } from "node:path";
import { watch as watchPaths } from "chokidar";
import type { Workspace } from "./engine.ts";
import { type IgnoreRules, readIgnoreRules } from "./indexing/ignoreRules.ts";
import { needsPass, type UpdateReport } from "./indexing/indexer.ts";

/** Changes come in bursts; one look answers those that come within it. */
const PAUSE_MS = 200;

export interface WatchReport extends UpdateReport {
  /** Paths that were told of. */
  readonly changed: number;
  readonly seconds: number;
}

export interface WatchOptions {
  readonly exclude: readonly string[];
  /** Ends the watch after the look under way. */
  readonly signal: AbortSignal;
  /** Everything is watched, and the index agrees with the disk. */
  readonly onReady: () => void;
  readonly onReport: (report: WatchReport) => void;
}

/** Resolves when `signal` is aborted. Rejects with the watcher's or the indexer's error. */
export async function watch(workspace: Workspace, options: WatchOptions): Promise<void> {
  const { root } = workspace;
  const { signal } = options;
  const changed = new Set<string>();
  const pathOf = (file: string) => relative(root, file).split(sep).join("/");
  let rules: IgnoreRules = readIgnoreRules(root, options.exclude);
  const watcher = watchPaths(root, {
    ignoreInitial: true,
    followSymlinks: false,
    ignored: (file, stats) => {
      const path = pathOf(file);
      return path !== "" && rules.reasonAt(path, stats?.isFile() ? "file" : "folder") !== undefined;
    },
  });
  try {
    await new Promise<void>((resolve, reject) => {
      let last = Promise.resolve();
      let timer: NodeJS.Timeout | undefined;
      const look = async () => {
        const paths = [...changed].filter((path) => path !== "");
        changed.clear();
        if (signal.aborted || paths.length === 0) return;
        const startedAt = performance.now();
        const isWhole = needsPass(paths);
        if (isWhole) rules = readIgnoreRules(root, options.exclude);
        const { embedded, reused, fused } = isWhole
          ? await workspace.index({ signal })
          : await workspace.refresh(paths, signal);
        const seconds = (performance.now() - startedAt) / 1000;
        options.onReport({ changed: paths.length, embedded, reused, fused, seconds });
      };
      const end = () => {
        clearTimeout(timer);
        void last.then(resolve, resolve);
      };
      const follow = (work: () => Promise<void>) => {
        last = last.then(work);
        last.catch((error: unknown) => (signal.aborted ? resolve() : reject(error)));
      };
      // What changed before everything was watched.
      const catchUp = async () => {
        await workspace.index({ signal });
        options.onReady();
      };
      watcher.on("ready", () => follow(catchUp));
      watcher.on("error", reject);
      watcher.on("all", (_event, file) => {
        changed.add(pathOf(file));
        clearTimeout(timer);
        timer = setTimeout(() => follow(look), PAUSE_MS);
      });
      if (signal.aborted) end();
      signal.addEventListener("abort", end, { once: true });
    });
  } finally {
    await watcher.close();
  }
}
