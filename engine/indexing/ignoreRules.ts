// Which paths of a workspace are left out: the settings' patterns, every .gitignore and .precisignore from the git root
// down, and folders that never hold a person's source. Rules are read once per folder and kept.
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import ignore, { type Ignore } from "ignore";
import { errnoOf } from "../errors.ts";

/** Never a person's source, whether ignored or not. */
const SKIPPED_FOLDERS = new Set([".git", ".hg", ".svn", "node_modules", "__pycache__"]);

/** Their presence says that the folder around them is a Python environment. */
const ENVIRONMENT_MARKS = ["pyvenv.cfg", "conda-meta"];

const IGNORE_FILES = [".gitignore", ".precisignore"];

/** The rules of one folder's ignore files, or of the setting. */
interface Rules {
  readonly patterns: Ignore;
  /** A path relative to the workspace, as seen from the folder the rules speak of. */
  readonly seen: (path: string) => string;
}

export interface IgnoreRules {
  /** `path` is relative to the workspace; its folder is taken as not ignored. */
  ignores(path: string, kind: "file" | "folder"): boolean;
  /** The same for a path whose folders may be ignored as well. */
  ignoresAnyPart(path: string): boolean;
}

export function readIgnoreRules(root: string, exclude: readonly string[]): IgnoreRules {
  const outer = [{ patterns: ignore().add([...exclude]), seen: same }, ...rulesAbove(root)];
  const ofFolder = new Map<string, readonly Rules[]>();

  const rulesFor = (folder: string): readonly Rules[] => {
    const known = ofFolder.get(folder);
    if (known !== undefined) return known;
    const above = folder === "" ? outer : rulesFor(parentOf(folder));
    const own = readRules(join(root, folder));
    const seen = folder === "" ? same : (path: string) => path.slice(folder.length + 1);
    const rules = own === undefined ? above : [...above, { patterns: own, seen }];
    ofFolder.set(folder, rules);
    return rules;
  };

  const ignores = (path: string, kind: "file" | "folder"): boolean => {
    if (kind === "folder" && isNeverSource(root, path)) return true;
    let isIgnored = false;
    // The setting stands first, so that a .gitignore cannot bring back what a person excluded.
    for (const [index, { patterns, seen }] of rulesFor(parentOf(path)).entries()) {
      const verdict = patterns.test(seen(path) + (kind === "folder" ? "/" : ""));
      if (verdict.ignored) isIgnored = true;
      if (isIgnored && index === 0) return true;
      if (verdict.unignored) isIgnored = false;
    }
    return isIgnored;
  };

  return {
    ignores,
    ignoresAnyPart: (path) => {
      const parts = path.split("/");
      const folders = parts.slice(0, -1).map((_, index) => parts.slice(0, index + 1).join("/"));
      return folders.some((folder) => ignores(folder, "folder")) || ignores(path, "file");
    },
  };
}

function same(path: string): string {
  return path;
}

function isNeverSource(root: string, folder: string): boolean {
  if (SKIPPED_FOLDERS.has(folder.slice(folder.lastIndexOf("/") + 1))) return true;
  return ENVIRONMENT_MARKS.some((mark) => existsSync(join(root, folder, mark)));
}

/** A workspace may be a folder inside a repository: the rules of the folders between apply too. */
function rulesAbove(root: string): Rules[] {
  const above: string[] = [];
  for (let folder = root; !existsSync(join(folder, ".git")); folder = dirname(folder)) {
    // No repository around it.
    if (dirname(folder) === folder) return [];
    above.unshift(dirname(folder));
  }
  const gitRoot = above[0] ?? root;
  const excluded = readPatterns(join(gitRoot, ".git", "info", "exclude"));
  const found = above.map((folder) => ({ folder, patterns: readRules(folder) }));
  const all = [{ folder: gitRoot, patterns: excluded === undefined ? undefined : ignore().add(excluded) }, ...found];
  return all.flatMap(({ folder, patterns }) => {
    if (patterns === undefined) return [];
    const prefix = relative(folder, root).split(sep).join("/");
    // A person who opens an ignored folder means to work in it.
    if (prefix !== "" && patterns.ignores(`${prefix}/`)) return [];
    return [{ patterns, seen: prefix === "" ? same : (path: string) => `${prefix}/${path}` }];
  });
}

function readRules(folder: string): Ignore | undefined {
  const texts = IGNORE_FILES.map((name) => readPatterns(join(folder, name))).filter((text) => text !== undefined);
  return texts.length === 0 ? undefined : ignore().add(texts.join("\n"));
}

/** Undefined where there is none; an ignore file that cannot be read ignores nothing. */
function readPatterns(file: string): string | undefined {
  try {
    return statSync(file).isFile() ? readFileSync(file, "utf8") : undefined;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}
