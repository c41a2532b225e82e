// The models of one LSP session: which there are, which can be got, and getting one.
import { readdir, stat, statfs } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { addInProcess } from "./addInProcess.ts";
import type { ReportProgress } from "./downloadPace.ts";
import { EngineError, errnoOf, messageOf } from "./errors.ts";
import type { HubAccess } from "./fetchCheckpoint.ts";
import { machineMemory } from "./infer/freeMemory.ts";
import { linkFetchedLibraries, runtimeLibraries } from "./infer/runtimeLibraries.ts";
import { listAddOns, openAddOn } from "./pack/addOn.ts";
import { ADDED_FORMAT, catalogue } from "./pack/catalogue.ts";
import { HUB_URL } from "./pack/hubAddress.ts";
import { listPacks, openPack, type PackManifest, preparedPacksDir } from "./pack/pack.ts";
import { downloadFolder } from "./pack/partialFolders.ts";
import { notePackFolder } from "./packFolders.ts";
import type { Progress } from "./progress.ts";
import type {
  AddGpuLibraries,
  AddModel,
  AddModelOutcome,
  InstalledAddOn,
  InstalledPack,
  ModelChoices,
  RemoveModel,
  RemoveModelOutcome,
} from "./protocol.ts";
import { type RemovedPack, removePack } from "./removePack.ts";
import type { Session } from "./session.ts";

/** What manifests of packs and of add-ons both say. */
type Described = Pick<PackManifest, "title" | "version" | "licence" | "files">;

export class ModelSession {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  async choices(): Promise<ModelChoices> {
    const { packsDir, preparedDirs } = this.#session.installation;
    const url = this.#endpoint();
    const { origin, host } = new URL(URL.canParse(url) ? url : HUB_URL);
    const inUse = this.#dirsInUse();
    const installed = await Promise.all([
      packsIn(packsDir, true, inUse),
      ...preparedDirs.map((dir) => packsIn(dir, false, inUse)),
    ]);
    const addOns = await Promise.all(preparedDirs.map((dir) => addOnsIn(dir, inUse)));
    const offered = await Promise.all(
      catalogue(ADDED_FORMAT).map(async ({ id, repository, ...model }) => {
        const here = await bytesIn(downloadFolder(this.#packsDir(), id));
        return { ...model, source: repository, name: id, page: `${url}/${repository}`, here };
      }),
    );
    return {
      installed: installed.flat(),
      addOns: addOns.flat(),
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
      await this.noteFolder();
      session.connection.console.info(`${source} is ${name === undefined ? "an add-on" : `the pack ${name}`} now.`);
      return { end: "done", message: `${title} is ready`, ...(name === undefined ? {} : { pack: name }) };
    });
  }

  /**
   * One that the engine has open is removed between its end and its next start, which `restart` sees to: some systems do not
   * let go of open files.
   */
  async remove({ name }: RemoveModel, restart: (between: () => Promise<void>) => void): Promise<RemoveModelOutcome> {
    const { installation, connection } = this.#session;
    const inUse = this.#dirsInUse();
    try {
      const removed = installation.preparedDirs.some((dir) => inUse.has(resolve(dir, name)))
        ? await new Promise<RemovedPack>((done, failed) =>
            restart(() => removePack(name, installation).then(done, failed)),
          )
        : await removePack(name, installation);
      connection.console.info(`${removed.dir} is removed.`);
      const stays = removed.target === undefined ? "" : `; what it linked to stays: ${removed.target}`;
      return { end: "done", message: `${name} is removed${stays}` };
    } catch (error) {
      return { end: "failed", message: this.#failure(error) };
    }
  }

  /** The command line finds what an editor keeps for itself where the editor noted its folder. */
  async noteFolder(): Promise<void> {
    const { modelsDir } = this.#session.options;
    // Without it models are still got and used here.
    if (modelsDir !== undefined) await notePackFolder(modelsDir).catch((error) => this.#session.reportBug(error));
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
      const message = this.#failure(error);
      return error instanceof EngineError ? { end: "failed", message, code: error.code } : { end: "failed", message };
    }
  }

  /** Logs it; for a person. */
  #failure(error: unknown): string {
    if (error instanceof EngineError) {
      this.#session.connection.console.error(error.message);
      return `${error.message.replace(/\.$/, "")}. ${error.action}`;
    }
    this.#session.reportBug(error);
    return `Something unexpected happened: ${messageOf(error).split("\n")[0]}. See the log.`;
  }

  #dirsInUse(): ReadonlySet<string> {
    const pack = this.#session.engine?.pack;
    return new Set([pack?.dir, pack?.addOn?.dir].flatMap((dir) => (dir === undefined ? [] : resolve(dir))));
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

async function packsIn(parent: string, isBundled: boolean, inUse: ReadonlySet<string>): Promise<InstalledPack[]> {
  const dirs = (await listPacks(parent)).map((name) => join(parent, name));
  return Promise.all(dirs.map(async (dir) => ({ ...(await installedAt(dir, openPack, inUse)), isBundled })));
}

async function addOnsIn(parent: string, inUse: ReadonlySet<string>): Promise<InstalledAddOn[]> {
  return Promise.all((await listAddOns(parent)).map((dir) => installedAt(dir, openAddOn, inUse)));
}

async function installedAt(
  dir: string,
  open: (dir: string) => Promise<{ readonly manifest: Described }>,
  inUse: ReadonlySet<string>,
): Promise<InstalledAddOn> {
  const known = { name: basename(dir), isInUse: inUse.has(resolve(dir)) };
  try {
    const { title, version, licence, files } = (await open(dir)).manifest;
    const bytes = Object.values(files).reduce((sum, file) => sum + file.bytes, 0);
    return { ...known, title, version, licence, bytes, problem: null };
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return { ...known, title: known.name, version: "", licence: "", bytes: 0, problem: error.message };
  }
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
