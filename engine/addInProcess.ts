// A pack, an add-on or the GPU's libraries added by a process of its own, as its parent sees it.
import { fork } from "node:child_process";
import type { AddLibrariesOptions } from "./addGpuLibraries.ts";
import type { AddOptions } from "./addPack.ts";
import type { AddProgress } from "./downloadPace.ts";
import { EngineError, type EngineErrorCode } from "./errors.ts";
import { sweepPartials } from "./pack/partialFolders.ts";

/** Goes over a channel between the two alone, never over a command line, for there may be a token in it. */
export type AddJob = PackJob | LibrariesJob;

export interface PackJob extends Omit<AddOptions, "companion" | "onProgress" | "signal"> {
  /** Also of a projector add-on, which its folder tells. */
  readonly kind: "pack";
  /** Folder of the packs that came with the engine. */
  readonly bundledDir: string;
}

export interface LibrariesJob extends Omit<AddLibrariesOptions, "onProgress" | "signal"> {
  readonly kind: "libraries";
}

export interface Added {
  /** A pack as the setting `precis.pack` names it; absent where something else was added. */
  readonly name?: string;
  /** For a person. */
  readonly title: string;
}

export type AddAnswer =
  | ({ readonly kind: "progress" } & AddProgress)
  | ({ readonly kind: "added" } & Added)
  | { readonly kind: "failed"; readonly code: EngineErrorCode; readonly detail: string }
  | { readonly kind: "broken"; readonly stack: string };

/** Throws what `addPack` and `addGpuLibraries` throw, and `WORKER_FAILED` where the process ends without an answer. Aborting ends the process. */
export async function addInProcess(
  entry: URL,
  job: AddJob,
  { onProgress, signal }: Pick<AddOptions, "onProgress" | "signal">,
): Promise<Added> {
  signal.throwIfAborted();
  // What the runtime prints is no message of ours.
  const child = fork(entry, [], { execArgv: [], stdio: ["ignore", "ignore", "ignore", "ipc"] });
  const end = () => child.kill("SIGKILL");
  signal.addEventListener("abort", end, { once: true });
  try {
    return await new Promise<Added>((resolve, reject) => {
      const died = (how: string) => new EngineError("WORKER_FAILED", `the process that does it ${how}`);
      child.on("message", (answer: AddAnswer) => {
        if (answer.kind === "progress") onProgress(answer);
        else if (answer.kind === "added") resolve(answer);
        else if (answer.kind === "failed") reject(new EngineError(answer.code, answer.detail));
        else reject(new Error(answer.stack));
      });
      child.on("error", (error) => reject(died(`could not be started: ${error.message}`)));
      child.on("exit", (code, by) =>
        reject(signal.aborted ? signal.reason : died(`ended (${by ?? `status ${code}`})`)),
      );
      child.send(job);
    });
  } finally {
    signal.removeEventListener("abort", end);
    if (child.pid !== undefined && (child.exitCode !== null || child.signalCode !== null))
      await sweepPartials(job.kind === "pack" ? job.packsDir : job.folder, child.pid);
  }
}
