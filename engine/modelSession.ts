// The models of one LSP session: which there are, which can be got, and getting one.
import { readdir, stat, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import { addInProcess } from "./addInProcess.ts";
import type { ReportProgress } from "./downloadPace.ts";
import { EngineError, errnoOf, messageOf } from "./errors.ts";
import type { HubAccess } from "./fetchCheckpoint.ts";
import { machineMemory } from "./infer/freeMemory.ts";
import { linkFetchedLibraries, runtimeLibraries } from "./infer/runtimeLibraries.ts";
import { ADDED_FORMAT, catalogue } from "./pack/catalogue.ts";
import { HUB_URL } from "./pack/hubAddress.ts";
import { listPacks, openPack, preparedPacksDir } from "./pack/pack.ts";
import { downloadFolder } from "./pack/partialFolders.ts";
import type { Progress } from "./progress.ts";
import type { AddGpuLibraries, AddModel, AddModelOutcome, InstalledPack, ModelChoices } from "./protocol.ts";
import type { Session } from "./session.ts";

export class ModelSession {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  async choices(): Promise<ModelChoices> {
    const { packsDir, preparedDirs } = this.#session.installation;
    const url = this.#endpoint();
    const { origin, host } = new URL(URL.canParse(url) ? url : HUB_URL);
    const installed = await Promise.all([
      installedIn(packsDir, true),
      ...preparedDirs.map((dir) => installedIn(dir, false)),
    ]);
    const offered = await Promise.all(
      catalogue(ADDED_FORMAT).map(async ({ id, repository, ...model }) => {
        const here = await bytesIn(downloadFolder(this.#packsDir(), id));
        return { ...model, source: repository, name: id, page: `${url}/${repository}`, here };
      }),
    );
    return {
      installed: installed.flat(),
      offered,
      hub: { url, origin, host },
      gpuLibraries: gpuLibraries(),
      machine: { memoryBytes: machineMemory().total, freeDiskBytes: await freeBytes(this.#packsDir()) },
    };
  }

  /** Ends `progress` whatever happens. */
  async add({ source, token, proxy }: AddModel, progress: Progress): Promise<AddModelOutcome> {
    const session = this.#session;
    const { packsDir: bundledDir, adder } = session.installation;
    const hub: HubAccess = {
      endpoint: this.#endpoint(),
      token: token ?? this.#tokenOfEnvironment(),
      ...(proxy === undefined ? {} : { proxy }),
    };
    return this.#run(progress, async (onProgress) => {
      const packsDir = this.#packsDir();
      const job = { kind: "pack", source, packsDir, bundledDir, hub, ...ADDED_FORMAT } as const;
      const { name, title } = await addInProcess(adder, job, { onProgress, signal: progress.signal });
      session.connection.console.info(`${source} is ${name === undefined ? "an add-on" : `the pack ${name}`} now.`);
      return { end: "done", message: `${title} is ready`, ...(name === undefined ? {} : { pack: name }) };
    });
  }

  /** What the runtime needs for CUDA and its package does not bring. Ends `progress` whatever happens. */
  async addGpuLibraries({ proxy }: AddGpuLibraries, progress: Progress): Promise<AddModelOutcome> {
    const job = { kind: "libraries", folder: this.#gpuDir(), ...(proxy === undefined ? {} : { proxy }) } as const;
    return this.#run(progress, async (onProgress) => {
      const { adder } = this.#session.installation;
      const { title } = await addInProcess(adder, job, { onProgress, signal: progress.signal });
      return { end: "done", message: `${title} is in place` };
    });
  }

  /** Libraries that were fetched for this runtime are beside it, also after an update put another in its place. */
  async linkGpuLibraries(): Promise<void> {
    try {
      await linkFetchedLibraries(this.#gpuDir());
    } catch (error) {
      // The other providers work without.
      if (error instanceof EngineError) this.#session.log([{ code: "PROVIDER_FELL_BACK", detail: error.message }]);
      else this.#session.reportBug(error);
    }
  }

  async #run(progress: Progress, work: (report: ReportProgress) => Promise<AddModelOutcome>): Promise<AddModelOutcome> {
    let reached = 0;
    const report: ReportProgress = ({ percent = reached, message }) => {
      reached = percent;
      progress.report(percent, message);
    };
    const outcome = await this.#outcomeOf(progress.signal, () => work(report));
    progress.end(outcome.message);
    return outcome;
  }

  async #outcomeOf(signal: AbortSignal, work: () => Promise<AddModelOutcome>): Promise<AddModelOutcome> {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted) return { end: "cancelled", message: "cancelled" };
      if (!(error instanceof EngineError)) this.#session.reportBug(error);
      else this.#session.connection.console.error(error.message);
      if (error instanceof EngineError)
        return { end: "failed", message: `${error.message.replace(/\.$/, "")}. ${error.action}`, code: error.code };
      return {
        end: "failed",
        message: `Something unexpected happened: ${messageOf(error).split("\n")[0]}. See the log.`,
      };
    }
  }

  #packsDir(): string {
    return this.#session.installation.preparedDirs[0] ?? preparedPacksDir();
  }

  #gpuDir(): string {
    return join(dirname(this.#packsDir()), "gpu");
  }

  #endpoint(): string {
    return hubEndpoint(this.#session.settings["hub.endpoint"]);
  }

  /** Only for the hub that the environment means: settings may name another. */
  #tokenOfEnvironment(): string | undefined {
    return this.#session.settings["hub.endpoint"] === "" ? hubToken() : undefined;
  }
}

function gpuLibraries(): ModelChoices["gpuLibraries"] {
  const needed = runtimeLibraries();
  return needed === undefined ? null : { name: `${needed.name} ${needed.version}`, host: new URL(needed.feed).host };
}

/** The setting, else the environment's, else the public hub; without a slash at its end. */
export function hubEndpoint(setting: string): string {
  return (setting || process.env["HF_ENDPOINT"] || HUB_URL).replace(/\/+$/, "");
}

export function hubToken(): string | undefined {
  return process.env["HF_TOKEN"] || undefined;
}

async function installedIn(dir: string, isBundled: boolean): Promise<InstalledPack[]> {
  const names = await listPacks(dir);
  return Promise.all(
    names.map(async (name): Promise<InstalledPack> => {
      try {
        const { title, version, licence, files } = (await openPack(join(dir, name))).manifest;
        const bytes = Object.values(files).reduce((sum, file) => sum + file.bytes, 0);
        return { name, title, version, licence, bytes, isBundled, problem: null };
      } catch (error) {
        if (!(error instanceof EngineError)) throw error;
        return { name, title: name, version: "", licence: "", bytes: 0, isBundled, problem: error.message };
      }
    }),
  );
}

/** Of all files under a folder; 0 where there is none. */
async function bytesIn(dir: string): Promise<number> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  });
  const files = entries.filter((entry) => entry.isFile());
  // What another process removes meanwhile is not here.
  const sizes = files.map(({ parentPath, name }) =>
    stat(join(parentPath, name)).then(
      ({ size }) => size,
      () => 0,
    ),
  );
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** Of the disk that holds `dir`, or will. */
async function freeBytes(dir: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(dir);
    return bavail * bsize;
  } catch (error) {
    if (errnoOf(error) !== "ENOENT" || dirname(dir) === dir) throw error;
    return freeBytes(dirname(dir));
  }
}
