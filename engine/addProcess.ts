// Process entry: adds one pack for its parent. In a process of its own, since preparing takes a core for minutes and gigabytes
// of memory, and ending a process is the one way to stop it at once.
import { constants, setPriority } from "node:os";
import type { AddAnswer, AddJob } from "./addInProcess.ts";
import { addPack, nameOf } from "./addPack.ts";
import { EngineError } from "./errors.ts";
import { findPack, openPack } from "./pack/pack.ts";

setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
process.on("disconnect", () => process.exit(1));
process.once("message", (job: AddJob) => void work(job));

async function work({ bundledDir, ...job }: AddJob): Promise<void> {
  try {
    const companion = await openPack(await findPack("auto", bundledDir));
    const { signal } = new AbortController();
    const onProgress = (progress: object) => answer({ kind: "progress", ...progress } as AddAnswer);
    const pack = await addPack({ ...job, companion, onProgress, signal });
    answer({ kind: "added", name: nameOf(pack), title: pack.manifest.title });
  } catch (error) {
    answer(
      error instanceof EngineError
        ? { kind: "failed", code: error.code, detail: error.message.slice(error.code.length + 2) }
        : { kind: "broken", stack: error instanceof Error ? (error.stack ?? error.message) : String(error) },
    );
  }
  process.disconnect();
}

function answer(message: AddAnswer): void {
  process.send?.(message);
}
