// One LSP session, from initialize to exit: which message goes to which side.
import {
  type Connection,
  DidChangeConfigurationNotification,
  DidChangeWatchedFilesNotification,
  ExecuteCommandRequest,
  type InitializeParams,
  type InitializeResult,
  TextDocumentSyncKind,
} from "vscode-languageserver/node";
import { BehaviourSession } from "./behaviourSession.ts";
import { CompletionSession } from "./completionSession.ts";
import type { Settings } from "./config.ts";
import { doctor } from "./doctor.ts";
import { IndexingSession } from "./indexingSession.ts";
import type { Installation } from "./installation.ts";
import { ModelSession } from "./modelSession.ts";
import { type PowerSource, SYSTEM_POWER } from "./power.ts";
import { type Progress, progressOn, type StartProgress } from "./progress.ts";
import {
  ACCEPTED,
  type Accepted,
  type AddGpuLibraries,
  type AddModel,
  type DoctorReport,
  EDITOR_STATE,
  type EditorState,
  ENGINE_COMMANDS,
  EXPLAIN,
  type ExplainParams,
  MODELS,
  READER_KEY,
  type ReaderKey,
  type RemoveModel,
  SETTINGS_SECTION,
  SKIPPED,
  STATISTICS,
} from "./protocol.ts";
import { Session } from "./session.ts";

/** Settings that only a fresh engine can take up. */
const RESTARTING: readonly (keyof Settings)[] = [
  "pack",
  "reader.endpoint",
  "reader.model",
  "execution.providers",
  "execution.threads",
];
/** Settings that a folder takes up when it is opened. */
const REOPENING: readonly (keyof Settings)[] = [
  "index.exclude",
  "index.maxFileKiB",
  "index.maxDiskMiB",
  "index.otherText",
  "retrieval.retrievers",
  "retrieval.minOverlap",
];

export class LanguageServer {
  readonly #connection: Connection;
  readonly #session: Session;
  readonly #indexing: IndexingSession;
  readonly #completions: CompletionSession;
  readonly #behaviour: BehaviourSession;
  readonly #models: ModelSession;
  readonly #startProgress: StartProgress;
  /** Resolved once there are settings and folders to begin with: changes are told earlier, and are changes to those. */
  readonly #begun = Promise.withResolvers<void>();

  /** `power`: what the machine runs on; background indexing may wait for it. */
  constructor(connection: Connection, installation: Installation, power: PowerSource = SYSTEM_POWER) {
    this.#connection = connection;
    this.#session = new Session(connection, installation);
    this.#indexing = new IndexingSession(this.#session, power);
    this.#behaviour = new BehaviourSession(this.#session);
    this.#completions = new CompletionSession(this.#session, this.#behaviour);
    this.#models = new ModelSession(this.#session);
    const canCreate = () => this.#session.client?.capabilities.window?.workDoneProgress === true;
    this.#startProgress = progressOn(connection, canCreate);
  }

  listen(): void {
    const connection = this.#connection;
    connection.onInitialize((params) => this.#initialize(params));
    connection.onInitialized(() => this.#initialized());
    connection.onDidChangeConfiguration(() => this.#settingsChanged());
    connection.onDidChangeWatchedFiles(({ changes }) => this.#indexing.filesChanged(changes));
    connection.languages.inlineCompletion.on((params, token) => this.#completions.answer(params, token));
    // Not `onExecuteCommand`: that takes the client's work-done token out of the params.
    connection.onRequest(ExecuteCommandRequest.type, async (params, cancellation) => {
      const { command, workDoneToken: token } = params;
      if (command === ENGINE_COMMANDS.cancel) this.#indexing.cancel();
      if (command === ENGINE_COMMANDS.forgetBehaviour) await this.#behaviour.forget();
      if (command === ENGINE_COMMANDS.doctor) {
        const progress = await this.#startProgress("Precis: looking over the installation", { token, cancellation });
        return this.#lookOver(progress);
      }
      if (command === ENGINE_COMMANDS.addGpuLibraries) {
        const progress = await this.#startProgress("Precis: getting the GPU's libraries", { token, cancellation });
        return this.#models.addGpuLibraries(params.arguments?.[0] as AddGpuLibraries, progress);
      }
      if (command === ENGINE_COMMANDS.addModel) {
        const progress = await this.#startProgress("Precis: getting a model", { token, cancellation });
        return this.#models.add(params.arguments?.[0] as AddModel, progress);
      }
      if (command === ENGINE_COMMANDS.removeModel)
        return this.#models.remove(params.arguments?.[0] as RemoveModel, (between) => this.#indexing.restart(between));
      if (command !== ENGINE_COMMANDS.reindex && command !== ENGINE_COMMANDS.index) return null;
      const progress = await this.#startProgress("Precis: indexing", { token, cancellation });
      return this.#indexing.index({ progress, isForced: command === ENGINE_COMMANDS.reindex });
    });
    connection.onRequest(EXPLAIN, (params: ExplainParams | null) => this.#completions.explain(params?.uri));
    connection.onRequest(STATISTICS, () => this.#behaviour.statistics());
    connection.onRequest(MODELS, () => this.#models.choices());
    connection.onRequest(SKIPPED, () => this.#session.folders.skippedFiles());
    connection.onNotification(EDITOR_STATE, (params: EditorState) => this.#completions.editorState(params));
    connection.onNotification(READER_KEY, (params: ReaderKey) => this.#session.useReaderKey(params));
    connection.onNotification(ACCEPTED, (params: Accepted) => this.#completions.accepted(params));
    connection.onShutdown(async () => {
      this.#completions.cancel();
      await this.#behaviour.stop();
      await this.#indexing.stop();
    });
    this.#session.documents.onDidChangeContent(({ document }) => this.#indexing.documentChanged(document));
    this.#session.documents.onDidChangeContent(({ document }) => this.#behaviour.documentChanged(document));
    this.#session.documents.onDidClose(({ document }) => this.#indexing.documentClosed(document.uri));
    this.#session.documents.onDidClose(({ document }) => this.#behaviour.documentClosed(document));
    this.#session.documents.listen(connection);
    this.#completions.notebooks.listen(connection);
    connection.listen();
  }

  /** What no one expected: logged with its stack, and the session goes on. */
  reportBug(error: unknown): void {
    this.#session.reportBug(error);
  }

  /** With the engine that runs, so that no model is held twice. */
  async #lookOver(progress: Progress): Promise<DoctorReport> {
    const session = this.#session;
    const { installation, settings, storeParent: cacheDir, engine: running } = session;
    let done = 0;
    const onCheck = (name: string) => {
      done += 1;
      progress.report(Math.min(95, 7 * done), name);
    };
    const readerKey = (origin: string) => session.readerKey(origin);
    const report = await doctor({ installation, cacheDir, settings, readerKey, running, onCheck });
    progress.end(report.ok ? "nothing is wrong" : "something is wrong");
    return report;
  }

  #initialize(params: InitializeParams): InitializeResult {
    this.#session.client = params;
    return {
      serverInfo: { name: "Precis" },
      capabilities: {
        textDocumentSync: { openClose: true, change: TextDocumentSyncKind.Incremental, save: true },
        notebookDocumentSync: { notebookSelector: [{ notebook: "*" }] },
        inlineCompletionProvider: true,
        executeCommandProvider: { commands: Object.values(ENGINE_COMMANDS), workDoneProgress: true },
        workspace: { workspaceFolders: { supported: true, changeNotifications: true } },
      },
    };
  }

  async #initialized(): Promise<void> {
    const client = this.#session.client;
    const workspace = client?.capabilities.workspace;
    if (workspace?.didChangeConfiguration?.dynamicRegistration) {
      await this.#connection.client.register(DidChangeConfigurationNotification.type, { section: SETTINGS_SECTION });
    }
    if (workspace?.didChangeWatchedFiles?.dynamicRegistration) {
      await this.#connection.client.register(DidChangeWatchedFilesNotification.type, {
        // Of a folder that comes, goes or is renamed the editor tells the folder alone.
        watchers: [{ globPattern: "**/*" }],
      });
    }
    if (workspace?.workspaceFolders) {
      this.#connection.workspace.onDidChangeWorkspaceFolders(async ({ added, removed }) => {
        await this.#begun.promise;
        await this.#indexing.changeFolders(added, removed);
      });
    }
    await this.#session.pullSettings();
    await this.#behaviour.start();
    await this.#models.linkGpuLibraries();
    await this.#models.noteFolder();
    const started = this.#indexing.start(client?.workspaceFolders ?? []);
    this.#begun.resolve();
    await started;
  }

  async #settingsChanged(): Promise<void> {
    await this.#begun.promise;
    const before = await this.#session.pullSettings();
    const after = this.#session.settings;
    const isDifferent = (name: keyof Settings) => JSON.stringify(before[name]) !== JSON.stringify(after[name]);
    if (RESTARTING.some(isDifferent)) {
      this.#completions.cancel();
      await this.#indexing.restart();
    } else if (REOPENING.some(isDifferent)) {
      await this.#indexing.reopen();
    } else if (isDifferent("index.onBattery")) {
      await this.#indexing.refresh();
    }
    const { engine } = this.#session;
    if (isDifferent("execution.unloadAfterMinutes"))
      engine?.models.unloadAfter(after["execution.unloadAfterMinutes"] * 60_000);
    this.#session.show();
  }
}
