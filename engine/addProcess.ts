// Process entry: adds one pack, add-on or the GPU's libraries for its parent. In a process of its own, since preparing takes a core for minutes and gigabytes
// of memory, and ending a process is the one way to stop it at once.
import { constants, setPriority } from "node:os";
import { addGpuLibraries } from "./addGpuLibraries.ts";
import type { AddAnswer, Added, AddJob } from "./addInProcess.ts";
import { addPack, nameOf } from "./addPack.ts";
import type { ReportProgress } from "./downloadPace.ts";
import { EngineError } from "./errors.ts";
import { installAddOn } from "./installAddOn.ts";
import { isAddOn } from "./pack/addOn.ts";
import { findPack, openPack } from "./pack/pack.ts";

/** Of an encoder that an add-on only names. */
const ENCODER_FORMAT = "q8";

setPriority(constants.priority.PRIORITY_BELOW_NORMAL);
process.on("disconnect", () => process.exit(1));
process.once("message", (job: AddJob) => void work(job));

async function work(job: AddJob): Promise<void> {
  try {
    answer({ kind: "added", ...(await add(job)) });
  } catch (error) {
    answer(
      error instanceof EngineError
        ? { kind: "failed", code: error.code, detail: error.message.slice(error.code.length + 2) }
        : { kind: "broken", stack: error instanceof Error ? (error.stack ?? error.message) : String(error) },
    );
  }
  process.disconnect();
}

async function add(job: AddJob): Promise<Added> {
  const { signal } = new AbortController();
  const onProgress: ReportProgress = (progress) => answer({ kind: "progress", ...progress });
  if (job.kind === "libraries") {
    await addGpuLibraries({ ...job, onProgress, signal });
    return { title: "What CUDA needs" };
  }
  if (await isAddOn(job.source)) {
    const onStep = (message: string) => onProgress({ message });
    const { manifest } = await installAddOn({
      source: job.source,
      parent: job.packsDir,
      format: ENCODER_FORMAT,
      onStep,
    });
    return { title: manifest.title };
  }
  const companion = await openPack(await findPack("auto", job.bundledDir));
  const pack = await addPack({ ...job, companion, onProgress, signal });
  return { name: nameOf(pack), title: pack.manifest.title };
}

function answer(message: AddAnswer): void {
  process.send?.(message);
}
