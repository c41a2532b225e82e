// Directories that changed -> their vectors and pseudo-tokens, and those of all directories above them, deepest first.
import type { Vector } from "../domain.ts";
import type { Models } from "../infer/models.ts";
import { folderOf, type ParentWrite } from "../store/records.ts";
import type { Store } from "../store/store.ts";
import type { Fuser } from "./fuse.ts";
import { project } from "./project.ts";

/** Brings every stale directory up to date in one transaction; a directory without children goes. Returns how many were fused. */
export async function fuseAncestors(
  store: Store,
  fuser: Fuser,
  models: Pick<Models, "project">,
  signal?: AbortSignal,
): Promise<number> {
  const stale = store.staleFolders();
  if (stale.length === 0) return 0;
  const fused = new Map<string, Vector>();
  const freshIn = new Map<string, Map<string, Vector>>();
  const emptied = new Set<string>();
  for (const folders of byLevel(stale)) {
    const families = folders.map((path) => ({ path, children: childrenOf(path, store, freshIn.get(path), emptied) }));
    for (const { path, children } of families) if (children.length === 0) emptied.add(path);
    const full = families.filter(({ children }) => children.length > 0);
    const vectors = await fuser.fuse(
      full.map(({ children }) => children),
      signal,
    );
    for (const [index, vector] of vectors.entries()) {
      const path = full[index]?.path ?? "";
      fused.set(path, vector);
      const folder = folderOf(path);
      if (folder === undefined) continue;
      const fresh = freshIn.get(folder);
      if (fresh === undefined) freshIn.set(folder, new Map([[path, vector]]));
      else fresh.set(path, vector);
    }
  }
  const entries = [...fused];
  const pseudoTokens = await project(
    entries.map(([, vector]) => vector),
    models,
    signal,
  );
  const parents = entries.map(([path, vector], index): ParentWrite => {
    const level = path === "" ? "repository" : "directory";
    return { level, path, end: 0, endLine: 0, vector, pseudoTokens: pseudoTokens[index] ?? new Float32Array() };
  });
  store.replaceParents(parents, [...emptied]);
  return parents.length;
}

/** The stored children, with the directories of this pass in the place of what is stored of them. */
function childrenOf(
  folder: string,
  store: Store,
  fresh: ReadonlyMap<string, Vector> | undefined,
  emptied: ReadonlySet<string>,
): Vector[] {
  const stored = store.children(folder).filter(({ path }) => !emptied.has(path));
  const children = new Map(stored.map(({ path, vector }) => [path, vector]));
  for (const [path, vector] of fresh ?? []) children.set(path, vector);
  return [...children].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, vector]) => vector);
}

/** Deepest first; one directory never lies inside another of its group. */
function byLevel(folders: readonly string[]): string[][] {
  const groups = Map.groupBy(folders, (path) => (path === "" ? 0 : path.split("/").length));
  return [...groups].sort(([a], [b]) => b - a).map(([, group]) => group);
}
