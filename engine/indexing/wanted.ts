// Whether a text that comes from an editor belongs into the index: the same rules as for files on the disk.
import type { Settings } from "../config.ts";
import type { SourceFile } from "../domain.ts";
import { type IgnoreRules, readIgnoreRules } from "./ignoreRules.ts";
import { reasonOfName } from "./nameRules.ts";
import { mostBytes } from "./notebook.ts";
import { reasonAgainst } from "./readSource.ts";

/** Ignore files are read when the first text is asked about, and once. */
export function createWanted(
  root: string,
  settings: Pick<Settings, "index.maxFileKiB" | "index.exclude">,
  supports: (path: string) => boolean,
): (source: SourceFile) => boolean {
  let rules: IgnoreRules | undefined;
  return ({ path, text }) => {
    const size = Buffer.byteLength(text);
    const maxFileBytes = settings["index.maxFileKiB"] * 1024;
    if (!supports(path) || size > mostBytes(path, maxFileBytes) || reasonOfName(path, size) !== undefined) return false;
    rules ??= readIgnoreRules(root, settings["index.exclude"]);
    return rules.reasonOnWayTo(path) === undefined && reasonAgainst(path, text, maxFileBytes) === undefined;
  };
}
