// Every message between editor and engine beyond LSP 3.18. Imports nothing; both ends are checked against it.

/** Server → client notification, sent on every change: `EngineStatus`. */
export const STATUS = "precis/status";
/** Client → server request: what happened to the last completion. `ExplainParams` or null, answers `Explanation`. */
export const EXPLAIN = "precis/explain";
/** Client → server request: what the index left out, and why. `null` params, answers `SkippedFiles`. */
export const SKIPPED = "precis/skipped";
/** Client → server notification: the person accepted a completion. Params `Accepted`. */
export const ACCEPTED = "precis/accepted";

/** Client → server request: what became of offers on this machine, counted here alone. `null` params, answers `Statistics`. */
export const STATISTICS = "precis/statistics";
/** Client → server notification: what LSP does not say of the editor, sent when it differs from before: `EditorState`. */
export const EDITOR_STATE = "precis/editorState";

/** Client → server notification: the key of a reader's server, out of the editor's secret storage. Params `ReaderKey`. */
export const READER_KEY = "precis/readerKey";

/** Client → server request: the models on this machine and those that can be got. `null` params, answers `ModelChoices`. */
export const MODELS = "precis/models";

/** `workspace/executeCommand` names the engine answers. Those that take long report work-done progress and can be cancelled. */
export const ENGINE_COMMANDS = {
  /** Everything anew. Answers `IndexingOutcome`. */
  reindex: "precis.engine.reindex",
  /** What changed, at once, also while indexing is paused. Answers `IndexingOutcome`. */
  index: "precis.engine.index",
  /** Ends the pass under way; none begins by itself until one of the others is asked for. */
  cancel: "precis.engine.cancelIndexing",
  /** Downloads or copies a model and makes a pack of it. Its one argument is `AddModel`; answers `AddModelOutcome`. */
  addModel: "precis.engine.addModel",
  /** Removes a pack or an add-on from this machine. Its one argument is `RemoveModel`; answers `RemoveModelOutcome`. */
  removeModel: "precis.engine.removeModel",
  /** Looks over the whole installation; it takes some seconds. Answers `DoctorReport`. */
  doctor: "precis.engine.doctor",
  /** Downloads what the runtime needs for CUDA. Its one argument is `AddGpuLibraries`; answers `AddModelOutcome` without a pack. */
  addGpuLibraries: "precis.engine.addGpuLibraries",
  /** Drops what was counted of offers and what the gate learned from them. Answers null. */
  forgetBehaviour: "precis.engine.forgetBehaviour",
} as const;

/** How a pass that a person asked for ended. */
export interface IndexingOutcome {
  readonly end: "done" | "cancelled" | "failed" | "read-only";
  /** For a person. */
  readonly message: string;
}

/** The command carried by each inline completion item; the extension answers it and sends `precis/accepted`. */
export const ACCEPT_COMMAND = "precis.accepted";

/** The settings section the engine asks for with `workspace/configuration`. */
export const SETTINGS_SECTION = "precis";

export type EngineState = "starting" | "indexing" | "ready" | "off" | "error";

export interface EngineStatus {
  readonly state: EngineState;
  /** For a person; the error and what to do when `state` is `error`. */
  readonly message: string;
  /** What serves, or would if the pack could. */
  readonly mode: "none" | "full" | "compressed";
  /** What the person chose; `auto` left it to the pack. */
  readonly modeChoice: "auto" | "none" | "full" | "compressed";
  /** 0–100 while indexing, 100 otherwise. */
  readonly percent: number;
  /** Of the pass under way; null between passes. */
  readonly indexing: IndexingProgress | null;
  /** Why no pass begins by itself; null while they do. Completions go on, and so does what is typed. */
  readonly paused: IndexingPause | null;
  readonly pack: {
    readonly id: string;
    readonly version: string;
    readonly title: string;
    readonly modes: readonly string[];
    /** Why the mode compressed is not among them, what is used instead and what to do, for a person; null where it is. */
    readonly compressedFault: string | null;
  } | null;
  readonly index: {
    readonly files: number;
    readonly chunks: number;
    readonly nodes: number;
    readonly dbBytes: number;
    readonly skipped: Readonly<Record<string, number>>;
    /** Another window writes this workspace's index; this one reads it. */
    readonly readOnly: boolean;
    /** One for each store; the numbers above are their sums. */
    readonly folders: readonly FolderIndex[];
  };
  /** Where the reader runs; null while there is no engine. */
  readonly execution: Execution | null;
  /** Of the last request that was answered; null before the first. */
  readonly last: LastCompletion | null;
}

export interface Execution {
  /** Name of the execution provider. */
  readonly provider: string;
  /** False after a pause without requests; the next one loads the models again. */
  readonly isLoaded: boolean;
  /** Where the reader runs on a server; the rest then is said of the other models. */
  readonly remote?: RemoteExecution;
}

export interface RemoteExecution {
  /** Host and port. */
  readonly host: string;
  /** Null before the server was asked. */
  readonly model: string | null;
  /** Why the last request to it failed, and what to do; null after one that did not. */
  readonly problem: string | null;
}

export interface ReaderKey {
  /** Scheme, host and port of the server that the key is for; it is sent to no other. */
  readonly origin: string;
  /** Null: there is none any more. */
  readonly key: string | null;
}

export interface FolderIndex {
  /** Absolute path of the folder. */
  readonly root: string;
  /** Open folders inside this one; they are read with it. */
  readonly inner: readonly string[];
  readonly files: number;
  readonly chunks: number;
  readonly nodes: number;
  readonly dbBytes: number;
  readonly skipped: Readonly<Record<string, number>>;
  readonly readOnly: boolean;
  /** When this window last went through the whole folder, in milliseconds since 1970; null before, and where another does. */
  readonly indexedAt: number | null;
  /** Why the last pass over the folder did not end; null when it did. */
  readonly error: string | null;
}

export interface IndexingProgress {
  /** Of one folder after another. */
  readonly root: string;
  readonly filesDone: number;
  readonly filesTotal: number;
  /** The file just done; `""` at the end. */
  readonly currentPath: string;
  /** Over the last seconds; 0 before anything is known. */
  readonly filesPerSecond: number;
  /** Null before anything is known. */
  readonly secondsLeft: number | null;
}

export type IndexingPause =
  | { readonly reason: "battery" /** Charge, 0–100. */; readonly percent: number }
  | { readonly reason: "cancelled" };

export interface LastCompletion {
  readonly mode: "none" | "full" | "compressed";
  readonly totalMs: number;
  readonly ttftMs: number;
  /** Why nothing was offered; absent when something was. */
  readonly reason?: string;
}

export interface ExplainParams {
  /** Of the document that the active editor shows: the account says so where the last request was another one's. */
  readonly uri: string;
}

export interface Explanation {
  /** Readable account of the last request; says so when there was none. Its links are `path#L3-L12`, relative to `root`. */
  readonly markdown: string;
  /** Absolute path of the workspace folder; null for a document outside all of them. */
  readonly root: string | null;
}

/** What the last index pass left out, reason by reason, the most frequent first. */
export interface SkippedFiles {
  readonly reasons: readonly {
    /** A stable word, as in `EngineStatus.index.skipped`: `secret`, `generated`, … */
    readonly reason: string;
    /** What the reason means, for a person. */
    readonly meaning: string;
    readonly count: number;
    /** The first hundred; a folder stands for all it holds. */
    readonly files: readonly SkippedPath[];
  }[];
}

export interface SkippedPath {
  /** The workspace folder on disk. */
  readonly root: string;
  /** Relative to it, with forward slashes. */
  readonly path: string;
  /** More than the reason says, such as a size. */
  readonly detail?: string;
}

export interface EditorState {
  /** Of the document that the active editor shows. */
  readonly uri: string;
  readonly cursors: number;
  /** The editor is the old side of a comparison; the new one is like any other editor. */
  readonly isDiff: boolean;
  readonly isReadOnly: boolean;
  /** The version of the document that an undo or redo made, if one just did. */
  readonly undoneVersion?: number;
}

export interface Accepted {
  readonly completionId: number;
}

/** `initializationOptions` of the LSP handshake; every field optional, so that any LSP client can start the engine. */
export interface InitializationOptions {
  /** Folder for what is kept of this workspace; the user's cache folder when absent. */
  readonly storageDir?: string;
  /** Folder for the stores, one each for a workspace folder whatever window it is open in; `storageDir` when absent. */
  readonly storesDir?: string;
  /** Folder that holds the packs; `packs/` beside the engine when absent. */
  readonly packsDir?: string;
  /** Folder for packs that are downloaded or prepared; among the user's own when absent. */
  readonly modelsDir?: string;
}

/** Counts of offers that were on the screen; those there for less than a blink are left out. */
export interface OfferCounts {
  readonly shown: number;
  /** Taken whole, and taken up to a word or a line. */
  readonly accepted: number;
  readonly acceptedPart: number;
  /** Written by hand just as offered. */
  readonly typed: number;
  readonly rejected: number;
  /** Of the taken: still there after 30 s, or changed by then. */
  readonly survived: number;
  readonly lost: number;
  /** Characters taken, those written by hand left out. */
  readonly characters: number;
}

export const NO_COUNTS: OfferCounts = {
  shown: 0,
  accepted: 0,
  acceptedPart: 0,
  typed: 0,
  rejected: 0,
  survived: 0,
  lost: 0,
  characters: 0,
};

export interface Statistics {
  readonly total: OfferCounts;
  /** A row a day and language, oldest day first; days are local dates such as `2026-11-21`. */
  readonly days: readonly (OfferCounts & { readonly day: string; readonly language: string })[];
  /** How many answers have moved the gate since it was shipped or last forgotten; null for a pack without a gate. */
  readonly gate: { readonly answers: number } | null;
}

export interface DoctorCheck {
  readonly name: string;
  readonly ok: boolean;
  /** For a person: what was found. */
  readonly detail: string;
  /** What the person can do; beside an `ok`, to have more. */
  readonly fix?: string;
}

export interface DoctorReport {
  readonly ok: boolean;
  readonly checks: readonly DoctorCheck[];
}

export interface ModelChoices {
  readonly installed: readonly InstalledPack[];
  readonly addOns: readonly InstalledAddOn[];
  readonly offered: readonly OfferedModel[];
  /** The hub that would be asked. */
  readonly hub: { readonly url: string /** For a token. */; readonly origin: string; readonly host: string };
  /** What the runtime needs for CUDA and where it would be fetched; null where it needs nothing. */
  readonly gpuLibraries: { readonly name: string; readonly host: string } | null;
  readonly machine: {
    /** What this process may use. */
    readonly memoryBytes: number;
    /** On the disk that packs are put on. */
    readonly freeDiskBytes: number;
  };
}

/** A pack on this machine. */
export interface InstalledPack {
  /** As the setting `precis.pack` names it. */
  readonly name: string;
  readonly title: string;
  readonly version: string;
  readonly licence: string;
  readonly bytes: number;
  readonly isBundled: boolean;
  /** The engine has it open. */
  readonly isInUse: boolean;
  /** Why it cannot be used; null where it can. */
  readonly problem: string | null;
}

/** What gives packs with a certain reader the mode compressed. */
export type InstalledAddOn = Omit<InstalledPack, "isBundled">;

export interface RemoveModel {
  /** Of an `InstalledPack` or `InstalledAddOn`. */
  readonly name: string;
}

export interface RemoveModelOutcome {
  readonly end: "done" | "failed";
  /** For a person. */
  readonly message: string;
}

/** A model that a click downloads. Sizes are computed from its shape: about. */
export interface OfferedModel {
  /** As `AddModel.source` has it. */
  readonly source: string;
  readonly title: string;
  /** Of the pack it becomes. */
  readonly name: string;
  readonly licence: { readonly name: string /** What a person should know first. */; readonly note?: string };
  /** Where the hub says more of it. */
  readonly page: string;
  /** Bytes that an unfinished download left; the next one goes on from there. */
  readonly here: number;
  readonly bytes: { readonly download: number; readonly pack: number; readonly memory: number };
}

export interface AddModel {
  /** `owner/name` on the hub, or the path of a folder: a checkpoint or a pack. */
  readonly source: string;
  /** For the hub alone; kept in the editor's secret storage. */
  readonly token?: string;
  /** The editor's; that of the environment when absent. */
  readonly proxy?: {
    readonly address: string /** Hosts reached without it, separated by commas. */;
    readonly except: string;
  };
}

export type AddGpuLibraries = Pick<AddModel, "proxy">;

export interface AddModelOutcome {
  readonly end: "done" | "cancelled" | "failed";
  /** For a person. */
  readonly message: string;
  /** What to choose in `precis.pack`; absent where nothing is to be chosen: an add-on works once the engine is started again. */
  readonly pack?: string;
  /** Of the error; absent unless failed. */
  readonly code?: string;
}
