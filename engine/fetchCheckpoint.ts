// The recipe of a download: a repository of the hub -> a checkpoint folder. Small files first, so that what the reader's graph
// cannot be is refused, and room on the disk is known to suffice, before the weights come.
import { mkdir, readdir, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { Pace, type ReportProgress } from "./downloadPace.ts";
import { EngineError } from "./errors.ts";
import type { PackFormat } from "./pack/catalogue.ts";
import { type Connection, openConnection, type ProxyChoice } from "./pack/connection.ts";
import { downloadFile, partialBytes, type RemoteFile } from "./pack/download.ts";
import { listCheckpoint, type Repository } from "./pack/hub.ts";
import { holdFolder } from "./pack/partialFolders.ts";
import { PATIENCE, type Patience, type Waiting } from "./pack/patience.ts";
import { readQwen2Shape } from "./pack/qwen2Config.ts";
import { graphBytes } from "./pack/sizes.ts";
import { readTokenizer } from "./prepare.ts";

/** Which hub, and how it is reached. */
export interface HubAccess {
  readonly endpoint: string;
  readonly token?: string | undefined;
  readonly proxy?: ProxyChoice;
  readonly patience?: Patience;
}

export interface FetchOptions extends PackFormat {
  /** `owner/name` on the hub. */
  readonly repository: string;
  /** Holds the checkpoint, and nothing else, until it is removed; a folder for each commit. */
  readonly folder: string;
  readonly hub: HubAccess;
  readonly onProgress: ReportProgress;
  readonly signal: AbortSignal;
}

export interface FetchedCheckpoint {
  readonly dir: string;
  readonly commit: string;
  /** Removes the whole folder: what was fetched is needed no more. */
  remove(): Promise<void>;
  /** Lets other processes at it. */
  release(): Promise<void>;
}

const WEIGHTS = /\.safetensors$/;

/**
 * Goes on where an earlier call for the same commit ended. Throws the `HUB_…` errors, `CHECKPOINT_UNSUPPORTED`, `DISK_FULL` and
 * `DOWNLOAD_RUNNING`; what came is kept. Rejects with the signal's reason when aborted.
 */
export async function fetchCheckpoint(options: FetchOptions): Promise<FetchedCheckpoint> {
  const { repository, folder, hub, onProgress, signal } = options;
  const { patience = PATIENCE } = hub;
  const connection = openConnection({ ...hub, stallMs: patience.stallMs });
  const release = await holdFolder(folder);
  try {
    const onWait = (why: string, ms: number) => onProgress({ message: `waiting ${Math.ceil(ms / 1000)} s (${why})` });
    const waiting: Waiting = { patience, signal, onWait };
    onProgress({ percent: 0, message: `asking ${new URL(connection.endpoint).host} for ${repository}` });
    const listed = await listCheckpoint(repository, connection, waiting);
    const dir = join(folder, listed.commit);
    await removeOthers(folder, listed.commit);
    await mkdir(dir, { recursive: true });
    await fetchFiles(listed, dir, options, { connection, ...waiting });
    const remove = () => rm(folder, { recursive: true, force: true });
    return { dir, commit: listed.commit, remove, release };
  } catch (error) {
    await release();
    throw error;
  } finally {
    await connection.close();
  }
}

/** Of commits that are not the published one any more. */
async function removeOthers(folder: string, commit: string): Promise<void> {
  for (const name of await readdir(folder))
    if (name !== commit && name !== "lock") await rm(join(folder, name), { recursive: true, force: true });
}

async function fetchFiles(
  { files, id }: Repository,
  dir: string,
  { onProgress, ...format }: FetchOptions,
  how: Waiting & { readonly connection: Connection },
): Promise<void> {
  const weights = files.filter(({ name }) => WEIGHTS.test(name));
  const others = files.filter(({ name }) => !WEIGHTS.test(name));
  const pace = new Pace(sumOf(files), onProgress);
  const fetchAll = async (some: readonly RemoteFile[]) => {
    for (const file of some)
      await downloadFile(file, join(dir, file.name), { ...how, onBytes: (bytes) => pace.reached(file.name, bytes) });
  };
  await fetchAll(others);
  const shape = await readQwen2Shape(dir, format.maxTokens);
  await readTokenizer(dir);
  let missing = sumOf(weights);
  for (const { name } of weights) missing -= await partialBytes(join(dir, name));
  const needed = missing + graphBytes(shape, format.format);
  const { bavail, bsize } = await statfs(dir);
  if (bavail * bsize < needed) {
    const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
    const free = gigabytes(bavail * bsize);
    throw new EngineError("DISK_FULL", `${id} still takes ${gigabytes(needed)}, ${dir} has ${free} left`);
  }
  await fetchAll(weights);
}

function sumOf(files: readonly RemoteFile[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0);
}
