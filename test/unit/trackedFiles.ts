// The repository's own files, as git lists them: those committed, and new ones that are not ignored.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";

/** Paths relative to the repository's root, which is where tests run. */
export function trackedFiles(pattern: RegExp): string[] {
  const listed = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], { encoding: "utf8" });
  return [...new Set(listed.split("\n"))].filter((file) => pattern.test(file) && existsSync(file)).sort();
}
