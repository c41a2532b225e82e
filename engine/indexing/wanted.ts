// Whether a text that comes from an editor belongs into the index: the same rules as for files on the disk.
import type { Settings } from "../config.ts";
import type { SourceFile } from "../domain.ts";
import { type IgnoreRules, readIgnoreRules } from "./ignoreRules.ts";
import { reasonAgainst } from "./readSource.ts";
import { isSecretName } from "./scan.ts";

/** Ignore files are read when the first text is asked about, and once. */
export function createWanted(
  root: string,
  settings: Pick<Settings, "index.maxFileKiB" | "index.exclude">,
  chunker: { supports(path: string): boolean },
): (source: SourceFile) => boolean {
  let rules: IgnoreRules | undefined;
  return ({ path, text }) => {
    if (!chunker.supports(path) || isSecretName(path)) return false;
    if (Buffer.byteLength(text) > settings["index.maxFileKiB"] * 1024) return false;
    rules ??= readIgnoreRules(root, settings["index.exclude"]);
    return !rules.ignoresAnyPart(path) && reasonAgainst(text) === undefined;
  };
}
