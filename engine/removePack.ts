// A pack or add-on that a person no longer wants: its folder goes, and nothing outside Precis' own folders ever does.
import { lstat, readdir, readlink, rename, rm, stat, unlink } from "node:fs/promises";
import { basename, join } from "node:path";
import { EngineError, errnoOf, messageOf } from "./errors.ts";
import type { Installation } from "./installation.ts";
import { listAddOns } from "./pack/addOn.ts";
import { listPacks } from "./pack/pack.ts";
import { partialOf, sweepPartials } from "./pack/partialFolders.ts";

export interface RemovedPack {
  readonly kind: "pack" | "add-on";
  readonly name: string;
  readonly dir: string;
  /** What the disk got back; 0 for a link. */
  readonly bytes: number;
  /** Where the folder was a link: what it points to, which stays. */
  readonly target?: string;
}

/**
 * `name`: as the setting `precis.pack` names it, or an add-on's folder. Throws `PACK_BUNDLED` for one that comes with Precis,
 * `PACK_UNKNOWN` for a name that none of Precis' own folders holds, `PACK_BUSY` where the system does not let go of it.
 */
export async function removePack(
  name: string,
  { packsDir, preparedDirs }: Pick<Installation, "packsDir" | "preparedDirs">,
): Promise<RemovedPack> {
  for (const parent of preparedDirs) {
    // Only a name out of the folder's own list is taken, so that none can lead out of it.
    if ((await listPacks(parent)).includes(name)) return remove("pack", parent, name);
    if ((await addOnNames(parent)).includes(name)) return remove("add-on", parent, name);
  }
  if ((await listPacks(packsDir)).includes(name)) throw new EngineError("PACK_BUNDLED", `${name} comes with Precis`);
  throw new EngineError("PACK_UNKNOWN", `no pack or add-on named ${name} in ${preparedDirs.join(" or ")}`);
}

export async function addOnNames(parent: string): Promise<string[]> {
  return (await listAddOns(parent)).map((dir) => basename(dir));
}

async function remove(kind: RemovedPack["kind"], parent: string, name: string): Promise<RemovedPack> {
  const dir = join(parent, name);
  try {
    if ((await lstat(dir)).isSymbolicLink()) {
      const target = await readlink(dir);
      await unlink(dir);
      return { kind, name, dir, bytes: 0, target };
    }
    const bytes = await bytesIn(dir);
    // First out of everybody's sight: a process that ends in the middle leaves no half of a pack.
    const partial = partialOf(dir);
    await rename(dir, partial);
    // Links inside are removed, and not followed.
    await rm(partial, { recursive: true, force: true });
    await sweepPartials(parent);
    return { kind, name, dir, bytes };
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    throw new EngineError("PACK_BUSY", `${dir} cannot be removed: ${messageOf(error)}`, { cause: error });
  }
}

async function bytesIn(dir: string): Promise<number> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(files.map(({ parentPath, name }) => stat(join(parentPath, name))));
  return sizes.reduce((sum, { size }) => sum + size, 0);
}
