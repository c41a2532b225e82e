// One LSP session: holds the engine, the folders and what the status shows, from initialize to exit.
import envPaths from "env-paths";
import {
  type CancellationToken,
  type Connection,
  DidChangeConfigurationNotification,
  DidChangeWatchedFilesNotification,
  ExecuteCommandRequest,
  type InitializeParams,
  type InitializeResult,
  type InlineCompletionItem,
  type InlineCompletionParams,
  InlineCompletionTriggerKind,
  ResponseError,
  TextDocumentSyncKind,
  TextDocuments,
} from "vscode-languageserver/node";
import { TextDocument } from "vscode-languageserver-textdocument";
import type { Completion } from "./completion/complete.ts";
import { parseSettings, type Settings } from "./config.ts";
import { type Engine, startEngine } from "./engine.ts";
import { EngineError, messageOf, type Problem } from "./errors.ts";
import { explain, type LastRequest } from "./explain.ts";
import { Folders, fileOf } from "./folders.ts";
import { type Installation, storeDirOf } from "./installation.ts";
import { type Progress, progressOn, type StartProgress } from "./progress.ts";
import {
  ACCEPT_COMMAND,
  ACCEPTED,
  type Accepted,
  ENGINE_COMMANDS,
  type EngineStatus,
  EXPLAIN,
  type Explanation,
  type InitializationOptions,
  SETTINGS_SECTION,
  STATUS,
} from "./protocol.ts";

/** Unsaved text goes into the index after this pause in typing. */
const BUFFER_PAUSE_MS = 1500;
/** File events come in bursts (branch switch, formatter); one pass answers them all. */
const WATCH_PAUSE_MS = 1000;
/** A status names sizes read from the store; one for each file would cost more than the file. */
const PROGRESS_PAUSE_MS = 100;

/** Settings that only a fresh engine can take up. */
const RESTARTING: readonly (keyof Settings)[] = ["pack", "execution.providers", "execution.threads"];
/** Settings that a folder takes up when it is opened. */
const REOPENING: readonly (keyof Settings)[] = ["index.exclude", "index.maxFileKiB", "retrieval.retrievers"];

export class LanguageServer {
  readonly #connection: Connection;
  readonly #installation: Installation;
  readonly #documents = new TextDocuments(TextDocument);
  readonly #folders = new Folders();
  readonly #startProgress: StartProgress;
  readonly #timers = new Map<string, NodeJS.Timeout>();
  #client: InitializeParams | undefined;
  #settings: Settings = parseSettings({}).settings;
  #engine: Engine | undefined;
  #status: Pick<EngineStatus, "state" | "message" | "percent"> = { state: "starting", message: "Starting", percent: 0 };
  #skipped: Record<string, number> = {};
  #last: LastRequest | undefined;
  #current: AbortController | undefined;
  #indexing: AbortController | undefined;
  /** Starts and index passes run one after another. */
  #turn: Promise<void> = Promise.resolve();
  #completions = 0;

  constructor(connection: Connection, installation: Installation) {
    this.#connection = connection;
    this.#installation = installation;
    this.#startProgress = progressOn(connection, () => this.#client?.capabilities.window?.workDoneProgress === true);
  }

  listen(): void {
    const connection = this.#connection;
    connection.onInitialize((params) => this.#initialize(params));
    connection.onInitialized(() => this.#initialized());
    connection.onDidChangeConfiguration(() => this.#settingsChanged());
    connection.onDidChangeWatchedFiles(() => this.#later("watch", WATCH_PAUSE_MS, () => this.#reindex({})));
    connection.languages.inlineCompletion.on((params, token) => this.#inlineCompletion(params, token));
    // Not `onExecuteCommand`: that takes the client's work-done token out of the params.
    connection.onRequest(ExecuteCommandRequest.type, async ({ command, workDoneToken }, cancellation) => {
      if (command !== ENGINE_COMMANDS.reindex) return null;
      const progress = await this.#startProgress("Precis: indexing", { token: workDoneToken, cancellation });
      await this.#reindex({ progress, isForced: true });
      return null;
    });
    connection.onRequest(EXPLAIN, (): Explanation => ({ markdown: explain(this.#last) }));
    connection.onNotification(ACCEPTED, ({ completionId }: Accepted) => {
      connection.console.debug(`completion ${completionId} accepted`);
    });
    connection.onShutdown(() => this.#stop());
    this.#documents.onDidChangeContent(({ document }) => {
      this.#later(document.uri, BUFFER_PAUSE_MS, () =>
        this.#inTurn(() => this.#folders.update(document.uri, document.getText())),
      );
    });
    this.#documents.listen(connection);
    connection.listen();
  }

  /** What no one expected: logged with its stack, and the session goes on. */
  reportBug(error: unknown): void {
    this.#connection.console.error(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }

  #initialize(params: InitializeParams): InitializeResult {
    this.#client = params;
    return {
      serverInfo: { name: "Precis" },
      capabilities: {
        textDocumentSync: { openClose: true, change: TextDocumentSyncKind.Incremental, save: true },
        inlineCompletionProvider: true,
        executeCommandProvider: { commands: Object.values(ENGINE_COMMANDS), workDoneProgress: true },
        workspace: { workspaceFolders: { supported: true, changeNotifications: true } },
      },
    };
  }

  async #initialized(): Promise<void> {
    const workspace = this.#client?.capabilities.workspace;
    if (workspace?.didChangeConfiguration?.dynamicRegistration) {
      await this.#connection.client.register(DidChangeConfigurationNotification.type, { section: SETTINGS_SECTION });
    }
    if (workspace?.didChangeWatchedFiles?.dynamicRegistration) {
      await this.#connection.client.register(DidChangeWatchedFilesNotification.type, {
        watchers: [
          { globPattern: "**/*.{py,pyi}" },
          { globPattern: "**/.gitignore" },
          { globPattern: "**/.precisignore" },
        ],
      });
    }
    if (workspace?.workspaceFolders) {
      this.#connection.workspace.onDidChangeWorkspaceFolders(async ({ added, removed }) => {
        for (const folder of removed) this.#folders.close(fileOf(folder.uri) ?? "");
        if (added.length > 0) await this.#inTurn(() => this.#openFolders(rootsOf(added)));
        await this.#reindex({});
      });
    }
    await this.#pullSettings();
    await this.#inTurn(() => this.#start());
    await this.#reindex({});
  }

  async #pullSettings(): Promise<void> {
    const canAsk = this.#client?.capabilities.workspace?.configuration === true;
    const raw: unknown = canAsk ? await this.#connection.workspace.getConfiguration(SETTINGS_SECTION) : {};
    const { settings, problems } = parseSettings(raw);
    this.#settings = settings;
    this.#log(problems);
  }

  async #settingsChanged(): Promise<void> {
    const before = this.#settings;
    await this.#pullSettings();
    const after = this.#settings;
    const isDifferent = (name: keyof Settings) => JSON.stringify(before[name]) !== JSON.stringify(after[name]);
    if (RESTARTING.some(isDifferent)) {
      await this.#inTurn(async () => {
        await this.#closeEngine();
        await this.#start();
      });
      await this.#reindex({});
    } else if (REOPENING.some(isDifferent)) {
      const roots = this.#folders.all.map(({ root }) => root);
      await this.#inTurn(async () => {
        this.#folders.closeAll();
        await this.#openFolders(roots);
      });
      await this.#reindex({});
    }
    this.#show(this.#status);
  }

  /** Opens the pack and the folders. A named error becomes the status; only a bug goes further. */
  async #start(): Promise<void> {
    this.#show({ state: "starting", message: "Loading the models", percent: 0 });
    try {
      const { packsDir = this.#installation.packsDir } = this.#options();
      this.#engine = await startEngine({ packsDir, settings: this.#settings, workers: this.#installation.workers });
      this.#log(this.#engine.problems);
      await this.#openFolders(rootsOf(this.#client?.workspaceFolders ?? []));
    } catch (error) {
      this.#failed(error);
    }
  }

  async #openFolders(roots: readonly string[]): Promise<void> {
    const engine = this.#engine;
    if (engine === undefined) return;
    const parent = this.#options().storageDir ?? envPaths("precis", { suffix: "" }).cache;
    for (const root of roots) {
      await this.#folders.open(engine, { root, storeDir: storeDirOf(parent, root), settings: this.#settings });
    }
    for (const workspace of this.#folders.all) this.#log(workspace.problems);
  }

  #options(): InitializationOptions {
    return (this.#client?.initializationOptions as InitializationOptions | undefined) ?? {};
  }

  async #reindex({ progress, isForced = false }: { progress?: Progress; isForced?: boolean }): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#engine === undefined) {
        progress?.end("the engine is not running");
        return;
      }
      const aborter = new AbortController();
      this.#indexing = aborter;
      const signal = progress === undefined ? aborter.signal : AbortSignal.any([aborter.signal, progress.signal]);
      try {
        this.#show({ state: "indexing", message: "Indexing", percent: 0 });
        let shownAt = 0;
        const reports = await this.#folders.indexAll({ force: isForced, signal }, (percent, message) => {
          if (performance.now() - shownAt < PROGRESS_PAUSE_MS) return;
          shownAt = performance.now();
          progress?.report(percent, message);
          this.#show({ state: "indexing", message, percent });
        });
        this.#skipped = {};
        for (const report of reports) {
          for (const [reason, n] of Object.entries(report.skipped))
            this.#skipped[reason] = (this.#skipped[reason] ?? 0) + n;
          this.#log(report.problems);
        }
        for (const document of this.#documents.all()) await this.#folders.update(document.uri, document.getText());
        this.#show({ state: "ready", message: "Ready", percent: 100 });
        progress?.end(`${reports.reduce((sum, report) => sum + report.files, 0)} files indexed`);
      } catch (error) {
        if (signal.aborted) {
          this.#show({ state: "ready", message: "Indexing was cancelled; what was read is used", percent: 100 });
          progress?.end("cancelled");
        } else {
          progress?.end(messageOf(error));
          this.#failed(error);
        }
      } finally {
        this.#indexing = undefined;
      }
    });
  }

  async #inlineCompletion(params: InlineCompletionParams, token: CancellationToken): Promise<InlineCompletionItem[]> {
    this.#current?.abort(new Error("superseded"));
    const aborter = new AbortController();
    this.#current = aborter;
    token.onCancellationRequested(() => aborter.abort());
    const document = this.#documents.get(params.textDocument.uri);
    const engine = this.#engine;
    if (document === undefined || engine === undefined || !this.#settings.enabled) return [];
    if (params.context.triggerKind === InlineCompletionTriggerKind.Automatic) {
      await pause(this.#settings["completion.debounceMs"], aborter.signal);
      if (aborter.signal.aborted) return [];
    }
    const signal = AbortSignal.any([aborter.signal, AbortSignal.timeout(this.#settings["completion.deadlineMs"])]);
    const located = this.#folders.locate(document.uri);
    const cursor = {
      path: located?.path ?? nameOf(document.uri),
      text: document.getText(),
      offset: document.offsetAt(params.position),
    };
    const how = { mode: this.#settings.mode, maxLines: this.#settings["completion.maxLines"] };
    try {
      const completion = await (located?.workspace ?? engine).complete(cursor, how, signal);
      const { line, character } = params.position;
      this.#last = { path: cursor.path, line: line + 1, column: character + 1, completion };
      this.#log(completion.problems);
      this.#show(this.#status);
      return completion.reason === undefined ? [this.#item(document, cursor.offset, completion)] : [];
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      this.#connection.console.error(`${error.message}. ${error.action}`);
      throw new ResponseError(-32000, error.message, { code: error.code, action: error.action });
    }
  }

  #item(document: TextDocument, offset: number, completion: Completion): InlineCompletionItem {
    this.#completions += 1;
    const range = { start: document.positionAt(offset), end: document.positionAt(offset + completion.replaceRight) };
    const accept = {
      title: "Accepted",
      command: ACCEPT_COMMAND,
      arguments: [{ completionId: this.#completions } satisfies Accepted],
    };
    return { insertText: completion.text, range, command: accept };
  }

  #failed(error: unknown): void {
    if (!(error instanceof EngineError)) this.reportBug(error);
    const message =
      error instanceof EngineError
        ? `${error.message}. ${error.action}`
        : `Something unexpected happened: ${messageOf(error)}. See the log.`;
    this.#connection.console.error(message);
    this.#show({ state: "error", message, percent: 100 });
  }

  #show(status: Pick<EngineStatus, "state" | "message" | "percent">): void {
    this.#status = status;
    const pack = this.#engine?.pack.manifest;
    const stats = this.#folders.all.map((workspace) => workspace.stats());
    const sum = (field: "files" | "chunks" | "nodes" | "dbBytes") =>
      stats.reduce((total, entry) => total + entry[field], 0);
    const completion = this.#last?.completion;
    const shown: EngineStatus = {
      ...status,
      state: status.state === "ready" && !this.#settings.enabled ? "off" : status.state,
      mode: this.#settings.mode,
      pack: pack === undefined ? null : { id: pack.id, version: pack.version, title: pack.title, modes: pack.modes },
      index: {
        files: sum("files"),
        chunks: sum("chunks"),
        nodes: sum("nodes"),
        dbBytes: sum("dbBytes"),
        skipped: this.#skipped,
        readOnly: this.#folders.all.some((workspace) => workspace.isReadOnly),
      },
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
    void this.#connection.sendNotification(STATUS, shown);
  }

  #log(problems: readonly Problem[]): void {
    for (const { code, detail, path } of problems)
      this.#connection.console.warn(`${code}: ${path === undefined ? "" : `${path}: `}${detail}`);
  }

  /** After what is under way; a failure stays with its own caller. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch((error: unknown) => this.reportBug(error));
    return this.#turn;
  }

  #later(key: string, ms: number, work: () => Promise<void>): void {
    clearTimeout(this.#timers.get(key));
    this.#timers.set(
      key,
      setTimeout(() => {
        this.#timers.delete(key);
        void work();
      }, ms),
    );
  }

  async #closeEngine(): Promise<void> {
    this.#current?.abort();
    this.#folders.closeAll();
    await this.#engine?.close();
    this.#engine = undefined;
  }

  async #stop(): Promise<void> {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#indexing?.abort();
    await this.#turn;
    await this.#closeEngine();
  }
}

/** Resolves after `ms`, or at once when aborted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** Folders on disk; an address of any other kind has nothing to index. */
function rootsOf(folders: readonly { readonly uri: string }[]): string[] {
  return folders.map(({ uri }) => fileOf(uri)).filter((root) => root !== undefined);
}

/** Last part of an address that is no file, for the prompt's path line. */
function nameOf(uri: string): string {
  return decodeURIComponent(uri.slice(uri.lastIndexOf("/") + 1)) || "untitled.py";
}
