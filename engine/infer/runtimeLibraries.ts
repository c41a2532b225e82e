// The libraries that the runtime wants for a GPU and that its package leaves to an install script, which we do not run: which
// they are and where they are published, in the words of the runtime's own script, and their place beside the runtime.
import { lstat, readlink, rm, stat, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { EngineError, errnoOf, messageOf } from "../errors.ts";

export interface RuntimeLibraries {
  /** On a NuGet feed. */
  readonly name: string;
  readonly version: string;
  /** Address of the feed's index. */
  readonly feed: string;
  /** What is taken out of the package: a path in it, and the name beside the runtime. */
  readonly files: readonly { readonly path: string; readonly name: string }[];
}

/** onnxruntime-node/script/install-metadata.js, as far as it is read. */
interface InstallMetadata {
  readonly requirements: Readonly<Record<string, readonly string[]>>;
  readonly manifests: Readonly<
    Record<string, Readonly<Record<string, { readonly package: string; readonly path: string }>>>
  >;
  readonly packages: Readonly<
    Record<
      string,
      { readonly name: string; readonly versions: readonly { readonly feed: string; readonly version: string }[] }
    >
  >;
  readonly feeds: Readonly<Record<string, { readonly index: string }>>;
}

/** Of another provider than ours. */
const UNUSED = /tensorrt/;

/** The folder of the runtime's package. */
export function runtimeFolder(): string {
  return dirname(dirname(createRequire(import.meta.url).resolve("onnxruntime-node")));
}

/** Where the runtime looks for libraries: beside its own. */
export function librariesFolder(): string {
  return join(runtimeFolder(), "bin", "napi-v6", process.platform, process.arch);
}

/** Undefined where the runtime needs none, or none is published for this system. */
export function runtimeLibraries(system = `${process.platform}/${process.arch}`): RuntimeLibraries | undefined {
  const metadata: InstallMetadata = createRequire(import.meta.url)("onnxruntime-node/script/install-metadata.js");
  const [kind] = metadata.requirements[system] ?? [];
  const listed = Object.entries(metadata.manifests[`${system}:${kind}`] ?? {}).filter(([name]) => !UNUSED.test(name));
  const published = metadata.packages[listed[0]?.[1].package ?? ""];
  const [version] = published?.versions ?? [];
  const feed = metadata.feeds[version?.feed ?? ""];
  if (published === undefined || version === undefined || feed === undefined) return undefined;
  const files = listed.map(([name, { path }]) => ({ path, name: name.replace(/^\.\//, "") }));
  return { name: published.name, version: version.version, feed: feed.index, files };
}

/**
 * Lets the runtime find files of `from` beside its own. What a person put there stays. Throws `GPU_LIBRARIES` where that folder
 * cannot be written.
 */
export async function linkLibraries(from: string, names: readonly string[], beside = librariesFolder()): Promise<void> {
  for (const name of names) {
    const link = join(beside, name);
    const target = join(from, name);
    try {
      const found = await lstat(link).catch(ignoreMissing);
      if (found !== undefined && !found.isSymbolicLink()) continue;
      if (found !== undefined && (await readlink(link)) === target) continue;
      // Of an earlier version, or of one whose files are gone.
      if (found !== undefined) await rm(link);
      if ((await stat(target).catch(ignoreMissing)) !== undefined) await symlink(target, link);
    } catch (error) {
      throw new EngineError("GPU_LIBRARIES", `${link} cannot be made: ${messageOf(error)}`, { cause: error });
    }
  }
}

/** After an update, which brings another runtime: links to what `addGpuLibraries` put into `folder`, if that is of its version. */
export async function linkFetchedLibraries(folder: string): Promise<void> {
  const libraries = runtimeLibraries();
  if (libraries === undefined) return;
  const from = join(folder, libraries.version);
  const names = libraries.files.map(({ name }) => name);
  if ((await stat(from).catch(ignoreMissing)) !== undefined) await linkLibraries(from, names);
}

function ignoreMissing(error: unknown): undefined {
  if (errnoOf(error) !== "ENOENT") throw error;
}
