// What the sides of one LSP session share: the connection, the settings, the engine, the folders and the status shown.
import envPaths from "env-paths";
import type { Connection, InitializeParams } from "vscode-languageserver/node";
import { TextDocuments } from "vscode-languageserver/node";
import { TextDocument } from "vscode-languageserver-textdocument";
import { modeFor } from "./addOns.ts";
import { parseSettings, type Settings } from "./config.ts";
import type { Mode } from "./domain.ts";
import type { Engine } from "./engine.ts";
import { EngineError, messageOf, type Problem } from "./errors.ts";
import type { LastRequest } from "./explain.ts";
import { Folders, type OpenFolder } from "./folders.ts";
import type { Installation } from "./installation.ts";
import type { PackManifest } from "./pack/pack.ts";
import {
  type EngineStatus,
  type Execution,
  type FolderIndex,
  type IndexingPause,
  type InitializationOptions,
  type ReaderKey,
  SETTINGS_SECTION,
  STATUS,
} from "./protocol.ts";

/** What the session is doing; the rest of an `EngineStatus` is read from its parts. */
export type Doing = Pick<EngineStatus, "state" | "message" | "percent"> & Partial<Pick<EngineStatus, "indexing">>;

export class Session {
  readonly connection: Connection;
  readonly documents = new TextDocuments(TextDocument);
  readonly folders = new Folders();
  client: InitializeParams | undefined;
  settings: Settings = parseSettings({}).settings;
  /** Undefined while it starts and after it could not. */
  engine: Engine | undefined;
  last: LastRequest | undefined;
  paused: IndexingPause | undefined;
  /** Folders with a store of their own, and the open folders inside each that are read with it. */
  cover: ReadonlyMap<string, readonly string[]> = new Map();
  readonly #installation: Installation;
  readonly #readerKeys = new Map<string, string>();
  #doing: Doing = { state: "starting", message: "Starting", percent: 0 };
  #isEnding = false;
  /** The editor is asked one question after another, so that each answer has one before it. */
  #pull: Promise<void> = Promise.resolve();

  constructor(connection: Connection, installation: Installation) {
    this.connection = connection;
    this.#installation = installation;
  }

  get options(): InitializationOptions {
    return (this.client?.initializationOptions as InitializationOptions | undefined) ?? {};
  }

  /** With the folders that the client named in place of its own. */
  get installation(): Installation {
    const { packsDir = this.#installation.packsDir, modelsDir } = this.options;
    const { preparedDirs } = this.#installation;
    return {
      ...this.#installation,
      packsDir,
      preparedDirs: modelsDir === undefined ? preparedDirs : [modelsDir, ...preparedDirs],
    };
  }

  /** Where stores lie. */
  get storeParent(): string {
    const { storesDir, storageDir } = this.options;
    return storesDir ?? storageDir ?? envPaths("precis", { suffix: "" }).cache;
  }

  /** Asks the editor for the settings; one that cannot be asked gets the defaults. Answers those before. */
  pullSettings(): Promise<Settings> {
    const answer = this.#pull.then(async () => {
      const before = this.settings;
      await this.#askSettings();
      return before;
    });
    this.#pull = answer.then(
      () => {},
      () => {},
    );
    return answer;
  }

  async #askSettings(): Promise<void> {
    const canAsk = this.client?.capabilities.workspace?.configuration === true;
    const raw: unknown = canAsk ? await this.connection.workspace.getConfiguration(SETTINGS_SECTION) : {};
    const { settings, problems } = parseSettings(raw);
    this.settings = settings;
    this.log(problems);
  }

  /** What serves, as the settings or, left to it, the pack has it. */
  get mode(): Mode {
    return modeFor(this.settings.mode, this.engine?.pack, this.engine?.remote !== undefined);
  }

  /** Sends the status; what the session is doing stays as it was when nothing is given. */
  show(doing: Doing = this.#doing): void {
    this.#doing = doing;
    if (this.#isEnding) return;
    void this.connection.sendNotification(STATUS, this.#status());
  }

  /** No status from now on: what is being closed would look like an empty index. */
  end(): void {
    this.#isEnding = true;
  }

  #status(): EngineStatus {
    const pack = this.engine?.pack.manifest;
    const folders = this.folders.all.map((folder) => this.#folderIndex(folder));
    const sum = (field: "files" | "chunks" | "nodes" | "dbBytes") =>
      folders.reduce((total, folder) => total + folder[field], 0);
    const completion = this.last?.completion;
    return {
      ...this.#doing,
      indexing: this.#doing.indexing ?? null,
      paused: this.paused ?? null,
      state: this.#doing.state === "ready" && !this.settings.enabled ? "off" : this.#doing.state,
      mode: this.mode,
      modeChoice: this.settings.mode,
      pack: pack === undefined ? null : { ...pickNames(pack), compressedFault: this.engine?.compressedFault ?? null },
      index: {
        files: sum("files"),
        chunks: sum("chunks"),
        nodes: sum("nodes"),
        dbBytes: sum("dbBytes"),
        skipped: this.folders.skipped(),
        readOnly: folders.some(({ readOnly }) => readOnly),
        folders,
      },
      execution: this.#execution(),
      last:
        completion === undefined
          ? null
          : {
              mode: completion.mode,
              totalMs: completion.timings.totalMs,
              ttftMs: completion.timings.ttftMs,
              ...(completion.reason === undefined ? {} : { reason: completion.reason }),
            },
    };
  }

  #execution(): Execution | null {
    if (this.engine === undefined) return null;
    const { models, remote } = this.engine;
    const execution = { provider: models.provider, isLoaded: models.isLoaded };
    if (remote === undefined) return execution;
    const { endpoint, server, problem } = remote;
    const told = problem === undefined ? null : `${problem.message}. ${problem.action}`;
    return {
      ...execution,
      remote: { host: endpoint.host, model: server?.model ?? endpoint.model ?? null, problem: told },
    };
  }

  /** Keys are kept in memory alone, each for its server. */
  useReaderKey({ origin, key }: ReaderKey): void {
    if (key === null) this.#readerKeys.delete(origin);
    else this.#readerKeys.set(origin, key);
    const remote = this.engine?.remote;
    if (remote?.endpoint.origin === origin) remote.useKey(key ?? undefined);
  }

  readerKey(origin: string): string | undefined {
    return this.#readerKeys.get(origin);
  }

  #folderIndex({ root, workspace, report, indexedAt, error }: OpenFolder): FolderIndex {
    const { files, chunks, nodes, dbBytes } = workspace?.stats() ?? { files: 0, chunks: 0, nodes: 0, dbBytes: 0 };
    return {
      root,
      inner: this.cover.get(root) ?? [],
      files,
      chunks,
      nodes,
      dbBytes,
      skipped: report?.skipped ?? {},
      readOnly: workspace?.isReadOnly ?? false,
      indexedAt: indexedAt ?? null,
      error: error === undefined ? null : `${error.message}. ${error.action}`,
    };
  }

  log(problems: readonly Problem[]): void {
    for (const { code, detail, path } of problems) {
      this.connection.console.warn(`${code}: ${path === undefined ? "" : `${path}: `}${detail}`);
      // Another model answers than the one that was chosen.
      if (code === "PACK_FELL_BACK") void this.connection.window.showWarningMessage(`Precis: ${detail}.`);
    }
  }

  /** A named error becomes the status; what no one expected is logged with its stack too. */
  failed(error: unknown): void {
    if (!(error instanceof EngineError)) this.reportBug(error);
    const message =
      error instanceof EngineError
        ? `${error.message}. ${error.action}`
        : `Something unexpected happened: ${messageOf(error)}. See the log.`;
    this.connection.console.error(message);
    this.show({ state: "error", message, percent: 100 });
  }

  /** What no one expected: logged with its stack, and the session goes on. */
  reportBug(error: unknown): void {
    this.connection.console.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
}

function pickNames({
  id,
  version,
  title,
  modes,
}: PackManifest): Pick<PackManifest, "id" | "version" | "title" | "modes"> {
  return { id, version, title, modes };
}
