// The indexing side of one LSP session: the engine's life, the folders' stores, passes over them and unsaved text.
import envPaths from "env-paths";
import type { TextDocument } from "vscode-languageserver-textdocument";
import { startEngine } from "./engine.ts";
import { messageOf } from "./errors.ts";
import { fileOf } from "./folders.ts";
import { storeDirOf } from "./installation.ts";
import type { Progress } from "./progress.ts";
import type { Session } from "./session.ts";

/** Unsaved text goes into the index after this pause in typing. */
const BUFFER_PAUSE_MS = 1500;
/** File events come in bursts (branch switch, formatter); one pass answers them all. */
const WATCH_PAUSE_MS = 1000;
/** A status names sizes read from the store; one for each file would cost more than the file. */
const PROGRESS_PAUSE_MS = 100;

interface FolderAddress {
  readonly uri: string;
}

export class IndexingSession {
  readonly #session: Session;
  readonly #timers = new Map<string, NodeJS.Timeout>();
  /** The folders open in the window, whether or not there is an engine to read them. */
  #roots = new Set<string>();
  #indexing: AbortController | undefined;
  /** Starts and index passes run one after another. */
  #turn: Promise<void> = Promise.resolve();

  constructor(session: Session) {
    this.#session = session;
  }

  /** Opens the pack and the folders, and reads them. A named error becomes the status; only a bug goes further. */
  async start(folders: readonly FolderAddress[]): Promise<void> {
    this.#roots = new Set(rootsOf(folders));
    await this.#inTurn(() => this.#startEngine());
    await this.reindex({});
  }

  /** Takes up settings that only a fresh engine can. */
  async restart(): Promise<void> {
    await this.#inTurn(async () => {
      await this.#closeEngine();
      await this.#startEngine();
    });
    await this.reindex({});
  }

  /** Takes up settings that a folder reads when it is opened. */
  async reopen(): Promise<void> {
    await this.#inTurn(async () => {
      this.#session.folders.closeAll();
      await this.#openFolders();
    });
    await this.reindex({});
  }

  async changeFolders(added: readonly FolderAddress[], removed: readonly FolderAddress[]): Promise<void> {
    for (const root of rootsOf(removed)) {
      this.#roots.delete(root);
      this.#session.folders.close(root);
    }
    for (const root of rootsOf(added)) this.#roots.add(root);
    if (added.length > 0) await this.#inTurn(() => this.#openFolders());
    await this.reindex({});
  }

  /** One pass over every folder; `isForced` computes everything anew. */
  async reindex({ progress, isForced = false }: { progress?: Progress; isForced?: boolean }): Promise<void> {
    await this.#inTurn(() => this.#pass(progress, isForced));
  }

  /** Files changed on disk. */
  filesChanged(): void {
    this.#later("watch", WATCH_PAUSE_MS, () => this.reindex({}));
  }

  /** A document's text changed in the editor. */
  documentChanged(document: TextDocument): void {
    this.#later(document.uri, BUFFER_PAUSE_MS, () =>
      this.#inTurn(() => this.#session.folders.update(document.uri, document.getText())),
    );
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#indexing?.abort();
    await this.#turn;
    await this.#closeEngine();
  }

  async #startEngine(): Promise<void> {
    const session = this.#session;
    session.show({ state: "starting", message: "Loading the models", percent: 0 });
    try {
      const { packsDir = session.installation.packsDir } = session.options;
      const { workers } = session.installation;
      session.engine = await startEngine({ packsDir, settings: session.settings, workers });
      session.log(session.engine.problems);
      await this.#openFolders();
    } catch (error) {
      session.failed(error);
    }
  }

  async #openFolders(): Promise<void> {
    const { engine, folders, options, settings } = this.#session;
    if (engine === undefined) return;
    const parent = options.storageDir ?? envPaths("precis", { suffix: "" }).cache;
    for (const root of this.#roots) await folders.open(engine, { root, storeDir: storeDirOf(parent, root), settings });
    for (const workspace of folders.all) this.#session.log(workspace.problems);
  }

  async #closeEngine(): Promise<void> {
    this.#session.folders.closeAll();
    await this.#session.engine?.close();
    this.#session.engine = undefined;
  }

  async #pass(progress: Progress | undefined, isForced: boolean): Promise<void> {
    const session = this.#session;
    if (session.engine === undefined) {
      progress?.end("the engine is not running");
      return;
    }
    const aborter = new AbortController();
    this.#indexing = aborter;
    const signal = progress === undefined ? aborter.signal : AbortSignal.any([aborter.signal, progress.signal]);
    try {
      session.show({ state: "indexing", message: "Indexing", percent: 0 });
      let shownAt = 0;
      const reports = await session.folders.indexAll({ force: isForced, signal }, (percent, message) => {
        if (performance.now() - shownAt < PROGRESS_PAUSE_MS) return;
        shownAt = performance.now();
        progress?.report(percent, message);
        session.show({ state: "indexing", message, percent });
      });
      for (const report of reports) session.log(report.problems);
      for (const document of session.documents.all()) await session.folders.update(document.uri, document.getText());
      session.show({ state: "ready", message: "Ready", percent: 100 });
      progress?.end(`${reports.reduce((sum, report) => sum + report.files, 0)} files indexed`);
    } catch (error) {
      if (signal.aborted) {
        session.show({ state: "ready", message: "Indexing was cancelled; what was read is used", percent: 100 });
        progress?.end("cancelled");
      } else {
        progress?.end(messageOf(error));
        session.failed(error);
      }
    } finally {
      this.#indexing = undefined;
    }
  }

  /** After what is under way; a failure stays with its own caller. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch((error: unknown) => this.#session.reportBug(error));
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
}

/** Folders on disk; an address of any other kind has nothing to index. */
function rootsOf(folders: readonly FolderAddress[]): string[] {
  return folders.map(({ uri }) => fileOf(uri)).filter((root) => root !== undefined);
}
