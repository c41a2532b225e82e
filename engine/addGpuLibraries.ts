// The recipe of the GPU's libraries: the package that the runtime's own install script names -> its libraries in a folder of ours,
// and links to them beside the runtime.
import { mkdir, rename, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { DOWNLOAD_PERCENT, Pace, type ReportProgress } from "./downloadPace.ts";
import { EngineError, errnoOf } from "./errors.ts";
import { exists } from "./exists.ts";
import { librariesFolder, linkLibraries, type RuntimeLibraries, runtimeLibraries } from "./infer/runtimeLibraries.ts";
import { openConnection, type ProxyChoice } from "./pack/connection.ts";
import { downloadFile } from "./pack/download.ts";
import { findPackage } from "./pack/nuget.ts";
import { downloadFolder, holdFolder, partialOf, sweepPartials } from "./pack/partialFolders.ts";
import { PATIENCE, type Patience } from "./pack/patience.ts";
import { unzip } from "./pack/unzip.ts";

export interface AddLibrariesOptions {
  /** Holds a folder for each version. */
  readonly folder: string;
  /** Where the runtime looks; beside it when absent. */
  readonly beside?: string;
  /** Those of this system when absent. */
  readonly libraries?: RuntimeLibraries;
  readonly proxy?: ProxyChoice;
  readonly patience?: Patience;
  readonly onProgress: ReportProgress;
  readonly signal: AbortSignal;
}

/** A library is some times as long as it is in the package. */
const UNPACKED = 3;

/**
 * The folder with the libraries. Throws `GPU_LIBRARIES` with what went wrong, or `DISK_FULL`; what came is kept. Rejects with the
 * signal's reason when aborted.
 */
export async function addGpuLibraries(options: AddLibrariesOptions): Promise<string> {
  const { folder, libraries = neededHere(), beside = librariesFolder(), onProgress } = options;
  const names = libraries.files.map(({ name }) => name);
  const out = join(folder, libraries.version);
  await sweepPartials(folder);
  try {
    if (!(await exists(out))) await fetchLibraries(libraries, out, options);
  } catch (error) {
    if (error instanceof EngineError && error.code !== "DISK_FULL" && error.code !== "GPU_LIBRARIES")
      throw new EngineError("GPU_LIBRARIES", error.message, { cause: error });
    throw error;
  }
  onProgress({ percent: 99, message: "putting them beside the runtime" });
  await linkLibraries(out, names, beside);
  return out;
}

async function fetchLibraries(
  { name, version, feed, files }: RuntimeLibraries,
  out: string,
  { folder, proxy, patience = PATIENCE, onProgress, signal }: AddLibrariesOptions,
): Promise<void> {
  const connection = openConnection({
    endpoint: feed,
    stallMs: patience.stallMs,
    ...(proxy === undefined ? {} : { proxy }),
  });
  const downloads = downloadFolder(folder, name);
  const release = await holdFolder(downloads);
  const partial = partialOf(out);
  try {
    const onWait = (why: string, ms: number) => onProgress({ message: `waiting ${Math.ceil(ms / 1000)} s (${why})` });
    const waiting = { patience, signal, onWait };
    onProgress({ percent: 0, message: `asking ${new URL(feed).host} for ${name} ${version}` });
    const file = await findPackage(name, version, connection, waiting);
    const { bavail, bsize } = await statfs(downloads);
    if (bavail * bsize < (1 + UNPACKED) * file.bytes)
      throw new EngineError(
        "DISK_FULL",
        `${name} takes ${Math.ceil(((1 + UNPACKED) * file.bytes) / 1e6)} MB of ${folder}`,
      );
    const pace = new Pace(file.bytes, onProgress);
    const zip = join(downloads, `${version}.nupkg`);
    await downloadFile(file, zip, { connection, ...waiting, onBytes: (bytes) => pace.reached(name, bytes) });
    onProgress({ percent: DOWNLOAD_PERCENT, message: "unpacking" });
    await mkdir(partial, { recursive: true });
    await unzip(zip, new Map(files.map((each) => [each.path, join(partial, each.name)])), signal);
    await rename(partial, out);
    await rm(downloads, { recursive: true, force: true });
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    if (["ENOSPC", "EDQUOT", "EFBIG"].includes(errnoOf(error) ?? ""))
      throw new EngineError("DISK_FULL", `${folder} is full`, { cause: error });
    throw error;
  } finally {
    await release();
    await connection.close();
  }
}

function neededHere(): RuntimeLibraries {
  const libraries = runtimeLibraries();
  if (libraries !== undefined) return libraries;
  const system = `${process.platform}-${process.arch}`;
  throw new EngineError("GPU_LIBRARIES_NONE", `the runtime needs none on ${system}`);
}
