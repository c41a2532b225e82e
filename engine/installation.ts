// Where the parts of this installation lie: beside the bundle in dist/, or in the source tree.
import { createHash } from "node:crypto";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { preparedPacksDir } from "./pack/pack.ts";
import { notedPackFolders } from "./packFolders.ts";

export interface Installation {
  readonly packsDir: string;
  /** Folders with packs that were added on this machine; new ones go into the first. */
  readonly preparedDirs: readonly string[];
  readonly workers: { readonly inference: URL; readonly chunker: URL; readonly probe: URL };
  /** Entry of the process that downloads and prepares a pack. */
  readonly adder: URL;
}

/** `entry` is the `import.meta.url` of `main` or `cli`; both lie one level below the installation's root. */
export function installationOf(entry: string): Installation {
  const isSource = entry.endsWith(".ts");
  return {
    packsDir: fileURLToPath(new URL("../packs", entry)),
    preparedDirs: [preparedPacksDir()],
    workers: {
      inference: new URL(isSource ? "./infer/inferWorker.ts" : "./inferWorker.js", entry),
      chunker: new URL(isSource ? "./indexing/chunkWorker.ts" : "./chunkWorker.js", entry),
      probe: new URL(isSource ? "./infer/probeProcess.ts" : "./probeProcess.js", entry),
    },
    adder: new URL(isSource ? "./addProcess.ts" : "./addProcess.js", entry),
  };
}

/** Also with the packs that editors keep for themselves. */
export async function withNotedPacks(installation: Installation): Promise<Installation> {
  const preparedDirs = [...installation.preparedDirs, ...(await notedPackFolders())];
  return { ...installation, preparedDirs };
}

/** One folder per workspace root under `parent`. */
export function storeDirOf(parent: string, root: string): string {
  return join(parent, createHash("sha256").update(root).digest("hex").slice(0, 16));
}
