// Finding the engine's process from outside, as a person with `ps` would: by what its command line names.
import { readdirSync, readFileSync } from "node:fs";
import type { Editor } from "./harness.ts";

/** Only Linux has /proc. */
export const CAN_FIND_ENGINE = process.platform === "linux";

/** Process ids of the engines that run from the editor's own extensions folder. */
export function engineProcesses(editor: Editor): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) =>
      commandLine(pid).some((word) => word.startsWith(editor.extensions) && word.endsWith("dist/main.js")),
    );
}

function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    // It ended between the listing and the look.
    return [];
  }
}
