// The recipe of the index: scan -> chunk -> embed -> fuse -> project -> store. Only what changed is computed; a pass that
// is cut off leaves every file old or new and its directories marked stale, and the next pass goes on from there.
import type { Settings } from "../config.ts";
import type { SourceFile } from "../domain.ts";
import type { Models } from "../infer/models.ts";
import type { KnownChunk } from "../store/records.ts";
import type { Store } from "../store/store.ts";
import { fuseAncestors } from "./ancestors.ts";
import { findFiles, findGone, readChanged } from "./changes.ts";
import { type ChunkedFile, chunkAhead } from "./chunkAhead.ts";
import type { Chunker } from "./chunker.ts";
import { DiskBudget } from "./diskBudget.ts";
import { embed, hashOf, type Modality } from "./embed.ts";
import { Fuser } from "./fuse.ts";
import { LeftOutBefore } from "./leftOutBefore.ts";
import { type IndexProgress, Pace } from "./pace.ts";
import { projectFiles } from "./project.ts";
import { type IndexReport, Tally } from "./tally.ts";
import { createTurns, Overtaken } from "./turns.ts";
import { createWanted } from "./wanted.ts";

export type { IndexProgress } from "./pace.ts";
export type { IndexReport } from "./tally.ts";

export interface IndexerOptions {
  readonly root: string;
  readonly store: Store;
  readonly chunker: Chunker;
  readonly models: Models;
  /** The pack's `encoder.modality`; text when absent. */
  readonly modality?: Modality;
  /** The pack's `fuser.branching`. */
  readonly branching: number;
  readonly settings: Pick<Settings, "index.maxFileKiB" | "index.maxDiskMiB" | "index.exclude" | "index.otherText">;
}

export interface IndexOptions {
  /** Computes everything anew, whatever the store holds. */
  readonly force?: boolean;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: IndexProgress) => void;
}

export interface Changes {
  /** Whole texts: saved, or as an editor holds them. */
  readonly changed: readonly SourceFile[];
  /** Files, or folders with all they held. */
  readonly removed: readonly string[];
}

/** Paths after which only a whole pass finds everything: an ignore file speaks of other files too. */
export function needsPass(paths: readonly string[]): boolean {
  return paths.length > MOST_REFRESHED || paths.some((path) => /(^|\/)\.(git|precis)ignore$/.test(path));
}

export type UpdateReport = Pick<IndexReport, "embedded" | "reused" | "fused">;

export interface Indexer {
  /** Makes the store agree with the disk. Rejects with the signal's reason when aborted; what is stored stays. */
  index(options?: IndexOptions): Promise<IndexReport>;
  /** Takes in a few changes without looking at the disk. */
  update(changes: Changes, signal?: AbortSignal): Promise<UpdateReport>;
  /** Makes the store agree with the disk at those files and folders, which may be new, changed or gone. */
  refresh(paths: readonly string[], signal?: AbortSignal): Promise<UpdateReport>;
}

/** Vectors of chunks that left are kept for this many, for a file moved in two steps or a branch switched back. */
const KEPT_VECTORS = 1000;

/** More changed paths than this, and looking at every file is cheaper than looking each of them up. */
const MOST_REFRESHED = 1000;

/** Updates, and files that went, between two tidyings. */
const TIDY_EVERY = 256;

export function createIndexer(options: IndexerOptions): Indexer {
  const { root, store, chunker, models, settings } = options;
  const fuser = new Fuser(models, options.branching);
  const maxFileBytes = settings["index.maxFileKiB"] * 1024;
  const exclude = settings["index.exclude"];
  const budget = new DiskBudget(store, settings["index.maxDiskMiB"]);
  const passes = createTurns();
  const steps = createTurns();
  /** Paths that an update took in while a pass was under way: what the pass read of them may be older. */
  const overtaken = new Overtaken();
  const supports = (path: string): boolean => settings["index.otherText"] || chunker.supports(path);
  const scanned = { root, exclude, maxFileBytes, supports };
  let isWanted = createWanted(root, settings, supports);
  let updatesSinceTidy = 0;

  const index = async ({ force: isForced = false, signal, onProgress }: IndexOptions): Promise<IndexReport> => {
    const tally = new Tally();
    if (store.readOnly) return tally.report(store.stats());
    overtaken.clear();
    budget.relax();
    isWanted = createWanted(root, settings, supports);
    const found = await findFiles(scanned, tally, signal);
    const pace = new Pace(found.files.length, onProgress);
    const onSame = (path: string) => pace.done(path);
    const stored = store.files();
    const stampOf = (path: string) => stored.get(path);
    const leftOut = new LeftOutBefore(store, isForced);
    const how = { store, tally, stampOf, leftOut, maxFileBytes, isForced, signal };
    const changed = readChanged(found.files, how, onSame);
    for await (const batch of chunkAhead(changed, chunker, signal)) {
      const isNewest = ({ source }: ChunkedFile) => overtaken.isFree(source.path);
      await steps(() => ingest(batch.filter(isNewest), tally, isForced, signal));
      await budget.tighten(signal);
      for (const { source } of batch) pace.done(source.path);
    }
    await steps(async () => {
      for (const path of findGone(found, store.files().keys()).filter(overtaken.isFree)) store.removeFile(path);
      await budget.tighten(signal);
      await budget.drop(signal);
      for (const path of store.room.dropped()) tally.skip({ path, reason: "no-room" });
      leftOut.keep();
      tally.fused += await fuseAncestors(store, fuser, models, signal);
      store.tidy(isForced ? 0 : KEPT_VECTORS);
      tally.problems.push(...budget.problems());
    });
    pace.end();
    return tally.report(store.stats());
  };

  const update = async ({ changed, removed }: Changes, signal?: AbortSignal): Promise<UpdateReport> => {
    const tally = new Tally();
    if (store.readOnly) return { embedded: 0, reused: 0, fused: 0 };
    const { wanted = [], unwanted = [] } = Object.groupBy(changed, (source) =>
      isWanted(source) ? "wanted" : "unwanted",
    );
    const gone = [...removed, ...unwanted.map(({ path }) => path)];
    overtaken.add([...gone, ...wanted.map(({ path }) => path)]);
    for (const path of gone.flatMap((path) => store.filesAt(path))) store.removeFile(path);
    const other = wanted
      .map((source) => ({ source, write: { path: source.path, hash: hashOf(source.text), size: -1, mtimeMs: -1 } }))
      .filter(({ write }) => store.file(write.path)?.hash !== write.hash);
    for await (const batch of chunkAhead(other, chunker, signal)) await ingest(batch, tally, false, signal);
    return finish(tally, gone.length, signal);
  };

  const refresh = async (paths: readonly string[], signal?: AbortSignal): Promise<UpdateReport> => {
    const tally = new Tally();
    if (store.readOnly) return { embedded: 0, reused: 0, fused: 0 };
    overtaken.add(paths);
    const stampOf = (path: string) => store.file(path);
    const gone: string[] = [];
    for (const at of new Set(paths)) {
      const found = await findFiles(scanned, tally, signal, at);
      gone.push(...findGone(found, store.filesAt(at)));
      const changed = readChanged(found.files, { store, tally, stampOf, maxFileBytes, isForced: false, signal });
      for await (const batch of chunkAhead(changed, chunker, signal)) await ingest(batch, tally, false, signal);
    }
    for (const path of gone) store.removeFile(path);
    return finish(tally, gone.length, signal);
  };

  const finish = async (tally: Tally, gone: number, signal: AbortSignal | undefined): Promise<UpdateReport> => {
    tally.fused += await fuseAncestors(store, fuser, models, signal);
    updatesSinceTidy += 1 + gone;
    if (updatesSinceTidy >= TIDY_EVERY) {
      store.tidy(KEPT_VECTORS);
      updatesSinceTidy = 0;
    }
    await budget.tighten(signal);
    return { embedded: tally.embedded, reused: tally.reused, fused: tally.fused };
  };

  /** A batch of files through the models and into the store, all of them or none. */
  const ingest = async (batch: readonly ChunkedFile[], tally: Tally, isForced: boolean, signal?: AbortSignal) => {
    const knownChunks = isForced ? () => new Map<string, KnownChunk>() : store.knownChunks.bind(store);
    const embedded = await embed(batch, knownChunks, models, options.modality ?? "text", signal);
    const fused = await fuser.fuseFiles(embedded, signal);
    const projected = await projectFiles(fused, models, signal);
    store.replaceFiles(projected.map(({ embedded: { file }, ...nodes }) => ({ file: file.write, ...nodes })));
    for (const { embedded: file } of projected) tally.add(file);
  };

  return {
    index: (how = {}) => passes(() => index(how)),
    update: (changes, signal) => steps(() => update(changes, signal)),
    refresh: (paths, signal) => steps(() => refresh(paths, signal)),
  };
}
