// Which paths of a workspace are left out: the settings' patterns, git's own exclude files, every .gitignore and
// .precisignore from the git root down, and folders that hold no person's source. Rules are read once per folder and kept.
import { existsSync, readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join, relative, sep } from "node:path";
import ignore, { type Ignore } from "ignore";
import { errnoOf } from "../errors.ts";
import { isNeverSource, type NamedReason, reasonOfFolder } from "./nameRules.ts";

const IGNORE_FILES = [".gitignore", ".precisignore"];

/** The rules of one folder's ignore files, or of the setting. */
interface Rules {
  readonly patterns: Ignore;
  /** A path relative to the workspace, as seen from the folder the rules speak of. */
  readonly seen: (path: string) => string;
}

/** A reason of rules; those of ignore files need no detail. */
export type Ruling = Pick<NamedReason, "reason"> & Partial<NamedReason>;

export interface IgnoreRules {
  /** Undefined where nothing speaks against it. `path` is relative to the workspace; its folder is taken as wanted. */
  reasonAt(path: string, kind: "file" | "folder"): Ruling | undefined;
  /** The same for a file whose folders may be left out as well. */
  reasonOnWayTo(path: string): Ruling | undefined;
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

  const reasonAt = (path: string, kind: "file" | "folder"): Ruling | undefined => {
    if (kind === "folder" && isNeverSource(path)) return { reason: "ignored" };
    let isIgnored = false;
    let isWanted = false;
    // The setting stands first, so that a .gitignore cannot bring back what a person excluded.
    for (const [index, { patterns, seen }] of rulesFor(parentOf(path)).entries()) {
      const verdict = patterns.test(seen(path) + (kind === "folder" ? "/" : ""));
      if (verdict.ignored) isIgnored = true;
      if (isIgnored && index === 0) return { reason: "ignored" };
      if (verdict.unignored) isIgnored = false;
      if (verdict.ignored || verdict.unignored) isWanted = verdict.unignored;
    }
    if (isIgnored) return { reason: "ignored" };
    return kind === "folder" && !isWanted ? reasonOfFolder(root, path) : undefined;
  };

  return {
    reasonAt,
    reasonOnWayTo: (path) => {
      for (let end = path.indexOf("/"); end !== -1; end = path.indexOf("/", end + 1)) {
        const reason = reasonAt(path.slice(0, end), "folder");
        if (reason !== undefined) return reason;
      }
      return reasonAt(path, "file");
    },
  };
}

function same(path: string): string {
  return path;
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
  const excluded = [readPatterns(personalIgnoreFile()), readPatterns(join(gitRoot, ".git", "info", "exclude"))];
  const ofGit = excluded.map((text) => (text === undefined ? undefined : ignore().add(text)));
  const found = above.map((folder) => ({ folder, patterns: readRules(folder) }));
  const all = [...ofGit.map((patterns) => ({ folder: gitRoot, patterns })), ...found];
  return all.flatMap(({ folder, patterns }) => {
    if (patterns === undefined) return [];
    const prefix = relative(folder, root).split(sep).join("/");
    // A person who opens an ignored folder means to work in it.
    if (prefix !== "" && patterns.ignores(`${prefix}/`)) return [];
    return [{ patterns, seen: prefix === "" ? same : (path: string) => `${prefix}/${path}` }];
  });
}

/** Git's `core.excludesFile`, where a person's settings of git name one, else where git looks without. */
function personalIgnoreFile(): string {
  const gitFolder = join(process.env["XDG_CONFIG_HOME"] || join(homedir(), ".config"), "git");
  for (const file of [join(homedir(), ".gitconfig"), join(gitFolder, "config")]) {
    const named = /^\s*excludesfile\s*=\s*"?([^"\n]+?)"?\s*$/im.exec(readPatterns(file) ?? "")?.[1];
    if (named !== undefined) return named.replace(/^~(?=\/)/, homedir());
  }
  return join(gitFolder, "ignore");
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
