// The recipe of a pack that a person asks for: a repository of the hub, a folder with a checkpoint or an export, or a pack
// folder -> a pack among those of this machine. Nothing gets a pack's name before all of it is there and verified.
import { constants } from "node:fs";
import { copyFile, mkdir, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { DOWNLOAD_PERCENT, type ReportProgress } from "./downloadPace.ts";
import { EngineError, errnoOf } from "./errors.ts";
import { fetchCheckpoint, type HubAccess } from "./fetchCheckpoint.ts";
import { CHUNKER_VERSION } from "./indexing/chunk.ts";
import { catalogue, type PackFormat } from "./pack/catalogue.ts";
import { isRepositoryId } from "./pack/hub.ts";
import { listPacks, openPack, type Pack, verifyPack } from "./pack/pack.ts";
import { downloadFolder, partialOf, sweepPartials } from "./pack/partialFolders.ts";
import { idOf, preparePack } from "./prepare.ts";

export interface AddOptions extends PackFormat {
  /** A folder, an .onnx file, or `owner/name` on the hub. */
  readonly source: string;
  /** Gets the pack. Downloads lie beside it until they are prepared. */
  readonly packsDir: string;
  /** Gives encoder and fuser. */
  readonly companion: Pack;
  readonly hub: HubAccess;
  readonly onProgress: ReportProgress;
  readonly signal: AbortSignal;
}

/** Rough: hashing and the first answer take the rest. */
const STEP_PERCENT = 4;

/**
 * A repository that was added before is not fetched again unless its pack is damaged. Throws what `fetchCheckpoint`,
 * `preparePack` and `verifyPack` throw, and `USAGE` for a source that is none. Rejects with the signal's reason when aborted.
 */
export async function addPack(options: AddOptions): Promise<Pack> {
  const { source, packsDir } = options;
  await mkdir(packsDir, { recursive: true });
  await sweepPartials(packsDir);
  if (await isFile(join(source, "pack.json"))) return copyPack(resolve(source), options);
  if (await exists(source)) return prepare(resolve(source), await freeId(packsDir, idOf(source)), options, {});
  if (isRepositoryId(source)) return addRepository(options);
  throw new EngineError("USAGE", `${source} is neither a folder on this machine nor owner/name on the hub`);
}

async function addRepository(options: AddOptions): Promise<Pack> {
  const { source, packsDir, onProgress, ...rest } = options;
  const known = catalogue(options).find(({ repository }) => repository === source);
  const id = known?.id ?? idOf(source.replace("/", "--"));
  const out = join(packsDir, id);
  if (await exists(out)) {
    try {
      onProgress({ percent: 0, message: "looking at what was downloaded before" });
      const pack = await verifyPack(out);
      if (pack.manifest.chunking.version === CHUNKER_VERSION) return pack;
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
    }
    await rm(out, { recursive: true, force: true });
  }
  const folder = downloadFolder(packsDir, id);
  const fetched = await fetchCheckpoint({ ...rest, repository: source, folder, onProgress });
  try {
    const title = known?.title ?? source;
    const origin = `${source} at ${fetched.commit}`;
    const pack = await prepare(fetched.dir, id, options, { title, origin });
    await fetched.remove();
    return pack;
  } finally {
    await fetched.release();
  }
}

/** Of a checkpoint that lies on the disk. */
async function prepare(
  source: string,
  id: string,
  { packsDir, format, maxTokens, companion, onProgress, signal }: AddOptions,
  names: { readonly title?: string; readonly origin?: string },
): Promise<Pack> {
  let percent = DOWNLOAD_PERCENT;
  const onStep = (step: string) => {
    signal.throwIfAborted();
    onProgress({ percent, message: `preparing: ${step}` });
    percent = Math.min(99, percent + STEP_PERCENT);
  };
  return preparePack({ source, out: join(packsDir, id), id, format, maxTokens, companion, onStep, ...names });
}

/** Only what the manifest lists, and only if every byte is as it says. */
async function copyPack(source: string, { packsDir, onProgress, signal }: AddOptions): Promise<Pack> {
  onProgress({ percent: 0, message: "sha256 of every file" });
  const { manifest } = await verifyPack(source);
  if (dirname(source) === resolve(packsDir)) return { dir: source, manifest };
  const same = await findSame(packsDir, manifest.id, manifest.files);
  if (same !== undefined) return same;
  const out = join(packsDir, await freeId(packsDir, manifest.id));
  const partial = partialOf(out);
  const names = ["pack.json", ...Object.keys(manifest.files)];
  try {
    await mkdir(partial);
    for (const [n, name] of names.entries()) {
      signal.throwIfAborted();
      onProgress({ percent: (80 * n) / names.length, message: `copying ${name}` });
      await copyFile(join(source, name), join(partial, name), constants.COPYFILE_FICLONE);
    }
    await verifyPack(partial);
    await rename(partial, out);
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    if (["ENOSPC", "EDQUOT", "EFBIG"].includes(errnoOf(error) ?? ""))
      throw new EngineError("DISK_FULL", `${packsDir} is full`, { cause: error });
    throw error;
  }
  return openPack(out);
}

async function findSame(packsDir: string, id: string, files: Pack["manifest"]["files"]): Promise<Pack | undefined> {
  for (const name of await listPacks(packsDir)) {
    if (name !== id) continue;
    const pack = await verifyPack(join(packsDir, name)).catch(() => undefined);
    if (pack !== undefined && JSON.stringify(pack.manifest.files) === JSON.stringify(files)) return pack;
  }
  return undefined;
}

/** `wanted`, or with the first number behind it that no folder has. */
async function freeId(packsDir: string, wanted: string): Promise<string> {
  for (let n = 1; ; n += 1) {
    const id = n === 1 ? wanted : `${wanted}-${n}`;
    if (!(await exists(join(packsDir, id)))) return id;
  }
}

/** A pack's folder in words of the setting `precis.pack`. */
export function nameOf(pack: Pack): string {
  return basename(pack.dir);
}

async function isFile(path: string): Promise<boolean> {
  return (await kindOf(path)) === "file";
}

async function exists(path: string): Promise<boolean> {
  return (await kindOf(path)) !== undefined;
}

async function kindOf(path: string): Promise<"file" | "other" | undefined> {
  try {
    return (await stat(path)).isFile() ? "file" : "other";
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) return undefined;
    throw error;
  }
}
