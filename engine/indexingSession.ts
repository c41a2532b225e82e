// The indexing side of one LSP session: the engine's life, the folders' stores, passes over them and unsaved text.
import type { TextDocument } from "vscode-languageserver-textdocument";
import { startEngine } from "./engine.ts";
import { messageOf } from "./errors.ts";
import { coverOf, fileOf } from "./folders.ts";
import { needsPass } from "./indexing/indexer.ts";
import { storeDirOf } from "./installation.ts";
import { type PowerSource, pauseFor, remembered } from "./power.ts";
import type { Progress } from "./progress.ts";
import { progressText } from "./progressText.ts";
import type { IndexingOutcome, IndexingPause } from "./protocol.ts";
import type { Doing, Session } from "./session.ts";
import { markUsed, removeStaleStores } from "./staleStores.ts";

/** Unsaved text goes into the index after this pause in typing. */
const BUFFER_PAUSE_MS = 1500;
/** File events come in bursts (branch switch, formatter); one pass answers them all. */
const WATCH_PAUSE_MS = 1000;
/** A status names sizes read from the store; one for each file would cost more than the file. */
const PROGRESS_PAUSE_MS = 100;
/** A window that reads another's index looks this often for what is new, and whether the other has gone. */
const READER_PAUSE_MS = 2000;

interface FolderAddress {
  readonly uri: string;
}

/** What ends a pass from outside, with the words for it. */
const CUT_OFF = {
  cancelled: "Indexing was cancelled; what was read is used",
  battery: "Indexing waits for mains power; what was read is used",
  superseded: "Indexing starts anew",
  stopped: "Stopping",
} as const;

const LOADING: Doing = { state: "starting", message: "Loading the models", percent: 0 };
const OPENING: Doing = { state: "starting", message: "Opening the index", percent: 0 };

export class IndexingSession {
  readonly #session: Session;
  readonly #power: PowerSource;
  readonly #timers = new Map<string, NodeJS.Timeout>();
  /** The folders open in the window, whether or not there is an engine to read them. */
  #addresses: readonly FolderAddress[] = [];
  /** The pass under way, and whether a person asked for it. */
  #running: { readonly aborter: AbortController; readonly isAsked: boolean } | undefined;
  /** A person ended the last pass; none begins by itself. */
  #isHeld = false;
  /** Addresses of what changed on the disk and was not looked at yet. */
  readonly #changed = new Set<string>();
  /** Starts and index passes run one after another. */
  #turn: Promise<void> = Promise.resolve();
  /** What is typed is taken in one text after another, during a pass as well. */
  #updates: Promise<void> = Promise.resolve();

  constructor(session: Session, power: PowerSource) {
    this.#session = session;
    this.#power = { ...power, read: remembered(power) };
  }

  /** Opens the pack and the folders, and reads them. A named error becomes the status; only a bug goes further. */
  async start(folders: readonly FolderAddress[]): Promise<void> {
    this.#addresses = folders;
    await this.#inTurn(() => this.#startEngine());
    await this.refresh();
    void this.#survey().catch((error: unknown) => this.#session.reportBug(error));
  }

  /** Takes up settings that only a fresh engine can. `between` is called while there is no engine. */
  async restart(between?: () => Promise<void>): Promise<void> {
    // A long pass that nobody asked for is not waited for; the fresh engine's goes on where it ended.
    if (this.#running?.isAsked === false) this.#running.aborter.abort("superseded");
    await this.#inTurn(() => this.#startEngine(between));
    await this.refresh();
  }

  /** Takes up settings that a folder reads when it is opened. */
  async reopen(): Promise<void> {
    await this.#inTurn(() => this.#openFolders({ isAnew: true }));
    await this.refresh();
  }

  async changeFolders(added: readonly FolderAddress[], removed: readonly FolderAddress[]): Promise<void> {
    const gone = new Set(removed.map(({ uri }) => uri));
    this.#addresses = [...this.#addresses.filter(({ uri }) => !gone.has(uri)), ...added];
    for (const root of this.#session.folders.roots) if (!this.#cover().has(root)) this.#session.folders.leave(root);
    await this.#inTurn(() => this.#openFolders());
    await this.refresh();
  }

  /** One pass that begins by itself: over what changed, and not while it is paused. */
  async refresh(): Promise<void> {
    await this.#inTurn(async () => {
      this.#session.paused = await this.#reasonToPause();
      if (this.#session.paused !== undefined) return this.#wait(this.#session.paused);
      const ending = setInterval(() => void this.#endOnBattery(), this.#power.everyMs);
      try {
        await this.#pass({ isForced: false, isAsked: false });
      } finally {
        clearInterval(ending);
      }
    });
  }

  /** One pass that a person asked for; `isForced` computes everything anew. */
  async index({ progress, isForced }: { progress: Progress; isForced: boolean }): Promise<IndexingOutcome> {
    this.#isHeld = false;
    // What a pass under way would do is done by this one.
    if (this.#running?.isAsked === false) this.#running.aborter.abort("superseded");
    let outcome: IndexingOutcome = { end: "failed", message: "The engine is not running." };
    await this.#inTurn(async () => {
      this.#session.paused = undefined;
      outcome = await this.#pass({ isForced, isAsked: true, progress });
    });
    progress.end(outcome.message);
    return outcome;
  }

  /** Ends the pass under way; none begins by itself until a person asks for one. */
  cancel(): void {
    if (this.#running === undefined) return;
    this.#isHeld = true;
    this.#running.aborter.abort("cancelled");
  }

  /** Files or folders appeared, changed or went on the disk. */
  filesChanged(changes: readonly FolderAddress[]): void {
    for (const { uri } of changes) this.#changed.add(uri);
    this.#later("watch", WATCH_PAUSE_MS, () => this.#takeChanges());
  }

  /** A document's text changed in the editor. Goes in between two batches of a pass. */
  documentChanged(document: TextDocument): void {
    const located = this.#session.folders.locate(document.uri);
    located?.workspace.touched(located.path);
    this.#later(document.uri, BUFFER_PAUSE_MS, () =>
      this.#between(async () => {
        await this.#session.folders.update(document.uri, document.getText());
        this.#session.show();
      }),
    );
  }

  /** A document was closed: what it held unsaved is gone, and the disk's text counts again. */
  documentClosed(uri: string): void {
    this.#later(uri, 0, () =>
      this.#between(async () => {
        await this.#session.folders.refresh([uri]);
        this.#session.show();
      }),
    );
  }

  async #takeChanges(): Promise<void> {
    const uris = [...this.#changed];
    this.#changed.clear();
    if (needsPass(uris)) return this.refresh();
    const { documents, folders } = this.#session;
    // An open document counts as the editor holds it, not as it lies on the disk.
    const [open, onDisk] = partition(uris, (uri) => documents.get(uri) !== undefined);
    await this.#between(async () => {
      await folders.refresh(onDisk);
      for (const uri of open) await folders.update(uri, documents.get(uri)?.getText() ?? "");
      this.#session.show();
    });
  }

  async stop(): Promise<void> {
    this.#session.end();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    this.#running?.aborter.abort("stopped");
    await this.#turn;
    await this.#closeEngine();
  }

  /** In place of the one there is. */
  async #startEngine(between?: () => Promise<void>): Promise<void> {
    const session = this.#session;
    // Whoever looks meanwhile must not take an index that is not open for an empty one.
    session.show(LOADING);
    await this.#closeEngine();
    await between?.();
    try {
      const { packsDir, preparedDirs, workers } = session.installation;
      const cacheDir = this.#session.storeParent;
      session.engine = await startEngine({
        packsDir,
        preparedDirs,
        settings: session.settings,
        workers,
        cacheDir,
        onProblem: (problem) => session.log([problem]),
        onModels: () => session.show(),
        readerKey: (origin) => session.readerKey(origin),
      });
      session.log(session.engine.problems);
      await this.#openFolders();
    } catch (error) {
      session.failed(error);
    }
  }

  /** Opens what is not open, closes what is no more in the window or is now read with a folder around it. */
  async #openFolders({ isAnew = false } = {}): Promise<void> {
    const { engine, folders, settings } = this.#session;
    this.#session.cover = this.#cover();
    if (engine === undefined) return;
    this.#session.show(OPENING);
    await this.#untilUpdated();
    for (const root of folders.roots) if (isAnew || !this.#session.cover.has(root)) folders.close(root);
    const parent = this.#session.storeParent;
    for (const root of this.#session.cover.keys()) {
      const storeDir = storeDirOf(parent, root);
      await folders.open(engine, { root, storeDir, settings });
      await markUsed(storeDir);
    }
    for (const dir of await removeStaleStores(parent))
      this.#session.connection.console.info(`removed ${dir}: not opened for long`);
    for (const { workspace } of folders.all) this.#session.log(workspace?.problems ?? []);
    this.#watchWriters();
  }

  /** Which execution provider is the fastest here, found out once, when there is nothing better to do. */
  async #survey(): Promise<void> {
    const { engine, settings, connection } = this.#session;
    if (engine === undefined || engine.remote !== undefined) return;
    if (!settings["execution.providers"].includes("auto")) return;
    const { probes, trials } = await engine.surveyProviders();
    for (const { provider, detail } of [...probes, ...trials]) connection.console.debug(`${provider}: ${detail}`);
    connection.console.log(`The reader runs on ${engine.models.provider}.`);
  }

  #cover(): ReadonlyMap<string, readonly string[]> {
    return coverOf(rootsOf(this.#addresses), this.#session.settings["index.exclude"]);
  }

  async #closeEngine(): Promise<void> {
    await this.#untilUpdated();
    this.#session.folders.closeAll();
    await this.#session.engine?.close();
    this.#session.engine = undefined;
  }

  async #pass(how: { isForced: boolean; isAsked: boolean; progress?: Progress }): Promise<IndexingOutcome> {
    const session = this.#session;
    if (session.engine === undefined) return { end: "failed", message: "The engine is not running." };
    const aborter = new AbortController();
    const onCancel = () => aborter.abort("cancelled");
    how.progress?.signal.addEventListener("abort", onCancel);
    if (how.progress?.signal.aborted) onCancel();
    this.#running = { aborter, isAsked: how.isAsked };
    try {
      session.show({ state: "indexing", message: "Indexing", percent: 0 });
      await this.#indexFolders(how.isForced, aborter.signal, how.progress);
      for (const document of session.documents.all()) await session.folders.update(document.uri, document.getText());
      return this.#ended();
    } catch (error) {
      if (!aborter.signal.aborted) {
        session.failed(error);
        return { end: "failed", message: messageOf(error) };
      }
      return this.#cutOff(aborter.signal.reason as keyof typeof CUT_OFF, how.isForced);
    } finally {
      how.progress?.signal.removeEventListener("abort", onCancel);
      this.#running = undefined;
      this.#watchWriters();
    }
  }

  async #indexFolders(isForced: boolean, signal: AbortSignal, shown: Progress | undefined): Promise<void> {
    const { folders } = this.#session;
    let shownAt = 0;
    const reports = await folders.indexAll({ force: isForced, signal }, (percent, progress) => {
      if (performance.now() - shownAt < PROGRESS_PAUSE_MS) return;
      shownAt = performance.now();
      const indexing = { ...progress, secondsLeft: progress.secondsLeft ?? null };
      const message = progressText(indexing);
      shown?.report(percent, message);
      this.#session.show({ state: "indexing", message, percent, indexing });
    });
    for (const report of reports) this.#session.log(report.problems);
  }

  #ended(): IndexingOutcome {
    const folders = this.#session.folders.all;
    const failed = folders.flatMap(({ error }) => error ?? []);
    const [first] = failed;
    if (first !== undefined && failed.length === folders.length) {
      this.#session.failed(first);
      return { end: "failed", message: first.message };
    }
    const message =
      first === undefined
        ? this.#readyText()
        : `${failed.length} of ${folders.length} folders could not be indexed: ${first.message}. ${first.action}`;
    this.#session.show({ state: "ready", message, percent: 100 });
    if (folders.length > 0 && folders.every(({ workspace }) => workspace?.isReadOnly === true))
      return { end: "read-only", message: "Another window writes this index; re-index there" };
    const files = folders.reduce((sum, { workspace }) => sum + (workspace?.stats().files ?? 0), 0);
    return { end: "done", message: `${files} files indexed` };
  }

  #readyText(): string {
    const isElsewhere = this.#addresses.length > 0 && rootsOf(this.#addresses).length === 0;
    return isElsewhere
      ? "The open folders are not on this machine's disk: completions see the open file alone"
      : "Ready";
  }

  #cutOff(reason: keyof typeof CUT_OFF, isForced: boolean): IndexingOutcome {
    // A person who stops a pass over what changed wants peace; everything anew can wait for the next wish.
    if (reason === "cancelled" && !isForced) this.#isHeld = true;
    if (reason === "battery") this.#later("power", this.#power.everyMs, () => this.refresh());
    if (this.#isHeld) this.#session.paused = { reason: "cancelled" };
    this.#session.show({ state: "ready", message: CUT_OFF[reason], percent: 100 });
    return { end: "cancelled", message: "cancelled" };
  }

  /** A store may be closed only when no update is under way. */
  async #untilUpdated(): Promise<void> {
    for (let seen: Promise<void> | undefined; seen !== this.#updates; ) {
      seen = this.#updates;
      await seen;
    }
  }

  async #reasonToPause(): Promise<IndexingPause | undefined> {
    if (this.#isHeld) return { reason: "cancelled" };
    return pauseFor(await this.#power.read(), this.#session.settings["index.onBattery"]);
  }

  /** Instead of a pass: says so, and tries again when the power may have changed. */
  #wait(pause: IndexingPause): void {
    if (this.#session.engine === undefined) return;
    const message = CUT_OFF[pause.reason];
    this.#session.show({ state: "ready", message, percent: 100 });
    if (pause.reason === "battery") this.#later("power", this.#power.everyMs, () => this.refresh());
  }

  /** While a pass runs by itself. */
  async #endOnBattery(): Promise<void> {
    const pause = await this.#reasonToPause();
    if (pause?.reason !== "battery" || this.#running?.isAsked !== false) return;
    this.#session.paused = pause;
    this.#running.aborter.abort("battery");
  }

  /** Folders that another window writes: shows what it adds, and goes on where it ended. */
  #watchWriters(): void {
    const reading = () =>
      this.#session.folders.all.flatMap(({ workspace }) => workspace ?? []).filter((w) => w.isReadOnly);
    if (reading().length === 0) return;
    const seen = reading().map(({ generation }) => generation);
    this.#later("writers", READER_PAUSE_MS, async () => {
      if (this.#running === undefined) {
        if (reading().filter((workspace) => workspace.takeOver()).length > 0) await this.refresh();
        else if (reading().some(({ generation }, n) => generation !== seen[n])) this.#session.show();
      }
      this.#watchWriters();
    });
  }

  /** After what is under way; a failure stays with its own caller. */
  #inTurn(work: () => Promise<void>): Promise<void> {
    const mine = this.#turn.then(work);
    this.#turn = mine.catch((error: unknown) => this.#session.reportBug(error));
    return this.#turn;
  }

  /** A small change, taken in even while a pass runs. */
  #between(work: () => Promise<void>): Promise<void> {
    this.#updates = this.#updates.then(work).catch((error: unknown) => this.#session.reportBug(error));
    return this.#updates;
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

/** Those for which the test holds, and the others. */
function partition<T>(values: readonly T[], test: (value: T) => boolean): [T[], T[]] {
  return [values.filter(test), values.filter((value) => !test(value))];
}
