// The taxonomy of things that go wrong: NoCompletion (a value), Problem (beside a value), EngineError (thrown).

/** Why nothing is offered. A value, never thrown. */
export type NoCompletionReason =
  | "cancelled"
  | "superseded"
  | "stale-document"
  | "unknown-document"
  | "not-ready"
  | "off"
  | "deadline"
  | "cursor-past-end"
  | "empty-document"
  | "mode-not-supported"
  | "nothing-generated"
  | `scheme-not-supported(${string})`
  | "document-too-large"
  | "read-only-document"
  | "diff-editor"
  | `language-off(${string})`
  | "several-cursors"
  | "after-undo"
  | "after-deletion"
  | "list-item-differs"
  | "code-right-of-cursor"
  | "too-little-text"
  | "finished-line"
  | `filtered(${string})`
  | `reader-failed(${string})`
  | `hidden(${HiddenBy})`;

/** What judged an offer not worth showing. */
export type HiddenBy = "gate" | "unknown-name" | "too-short";

export interface NoCompletion {
  readonly reason: NoCompletionReason;
}

/** The engine went on with less. Counted and logged, shown as a number. */
export interface Problem {
  readonly code:
    | "FILE_TOO_LARGE"
    | "FILE_BINARY"
    | "FILE_MINIFIED"
    | "FILE_SECRET"
    | "FILE_UNREADABLE"
    | "FILE_NOT_UTF8"
    | "FILE_VANISHED"
    | "LINK_SKIPPED"
    | "PARSE_FALLBACK"
    | "NOTEBOOK_BROKEN"
    | "RETRIEVER_FAILED"
    | "PROVIDER_FELL_BACK"
    | "PACK_FELL_BACK"
    | "MODE_FELL_BACK"
    | "READER_FAILED"
    | "SETTING_IGNORED"
    | "GATE_IGNORED"
    | "ADDON_IGNORED"
    | "BEHAVIOUR_FORGOTTEN"
    | "BEHAVIOUR_UNSAVED"
    | "FILES_DROPPED"
    | "STORE_REBUILT"
    | "STORE_READ_ONLY";
  readonly detail: string;
  readonly path?: string;
}

/** What a person should do, and whether trying again can help, for each code. */
export const ENGINE_ERRORS = {
  PACK_MISSING: { action: "Choose another pack in the settings (precis.pack), or reinstall Precis.", retry: false },
  PACK_CORRUPT: { action: "Reinstall Precis, or copy the pack again.", retry: false },
  PACK_INCOMPATIBLE: { action: "Use a pack made for this version of Precis.", retry: false },
  PACK_UNKNOWN: {
    action: "See `precis packs list` for what is here. A pack elsewhere is a folder of yours, to be removed by hand.",
    retry: false,
  },
  PACK_BUNDLED: {
    action: "It stays as long as Precis does; another can be used in its place (precis.pack).",
    retry: false,
  },
  PACK_BUSY: { action: "Close the editors that use it, or choose another model there, and try again.", retry: true },
  STORE_LOCKED: { action: "Close the other window that has this workspace open, or wait.", retry: true },
  STORE_CORRUPT: { action: "Run “Precis: Re-index Workspace”; the index is rebuilt from your files.", retry: true },
  STORE_UNWRITABLE: { action: "Free disk space or choose another folder with --store.", retry: true },
  PROVIDER_FAILED: { action: 'Set precis.execution.providers to ["cpu"].', retry: false },
  WORKER_FAILED: { action: "The engine restarts its worker; report the log if it happens again.", retry: true },
  ENDPOINT_INVALID: {
    action:
      "Set precis.reader.endpoint to the address of an OpenAI-compatible server, such as http://127.0.0.1:8000/v1.",
    retry: false,
  },
  ENDPOINT_UNREACHABLE: {
    action: "Start the server named by precis.reader.endpoint, or empty that setting to read on this machine.",
    retry: true,
  },
  ENDPOINT_UNTRUSTED: {
    action:
      "Start the editor with NODE_EXTRA_CA_CERTS naming the file (PEM) of the authority that signed the server's certificate.",
    retry: false,
  },
  ENDPOINT_KEY: {
    action: "Run “Precis: Set Reader Endpoint Key”; the command line takes the key from PRECIS_READER_KEY.",
    retry: false,
  },
  ENDPOINT_MODEL: { action: "Set precis.reader.model to a model that the server lists, or empty it.", retry: false },
  ENDPOINT_BUSY: { action: "The server has too much to do, or is starting: wait.", retry: true },
  ENDPOINT_FAILED: { action: "See the server's own log; the detail above is its answer.", retry: false },
  WORKSPACE_MISSING: { action: "Give a folder that exists and can be read.", retry: false },
  FILE_MISSING: { action: "Give a file that exists and can be read.", retry: false },
  POSITION_INVALID: { action: "Lines and columns start at 1; give a position inside the file.", retry: false },
  TASKS_INVALID: {
    action: "Each line of the tasks file must be a JSON object with task_id, repo, path, line, target.",
    retry: false,
  },
  CHECKPOINT_INVALID: { action: "Download or copy the checkpoint again.", retry: false },
  CHECKPOINT_UNSUPPORTED: {
    action: "Give a Qwen2-architecture checkpoint trained to fill in the middle, such as Qwen2.5-Coder.",
    retry: false,
  },
  ADDON_MISSING: { action: "Give the folder that holds its addon.json.", retry: false },
  ADDON_CORRUPT: {
    action: "Add it again with `precis packs add FOLDER`, or remove its folder. Until then mode full is used.",
    retry: false,
  },
  ADDON_INCOMPATIBLE: {
    action: "Use an add-on made for this version of Precis. Until then mode full is used.",
    retry: false,
  },
  ADDON_FOREIGN: {
    action:
      "Add one that was trained for this reader with `precis packs add FOLDER`; training/README.md says how to train one. Until then mode full is used.",
    retry: false,
  },
  ADDON_INCOMPLETE: {
    action: "Add it with its encoder: `precis packs add FOLDER --encoder CHECKPOINT`. Until then mode full is used.",
    retry: false,
  },
  ENCODER_UNSUPPORTED: {
    action: "Give a Qwen3-Embedding checkpoint or a stock ONNX export of the encoder that the add-on names.",
    retry: false,
  },
  ENCODER_FOREIGN: { action: "Give the checkpoint of the encoder that the add-on names.", retry: false },
  HUB_UNREACHABLE: {
    action:
      "Check the network, the proxy (http.proxy, or HTTPS_PROXY in the environment) and precis.hub.endpoint. What was downloaded is kept. Without a network choose a folder that was copied here.",
    retry: true,
  },
  HUB_UNTRUSTED: {
    action:
      "Start the editor with NODE_EXTRA_CA_CERTS naming the file (PEM) of the authority that signed the certificate of the hub or of your proxy.",
    retry: false,
  },
  HUB_TOKEN: {
    action:
      "Run “Precis: Set Hub Token” with a token that may read this repository, and look whether its name is right; the command line takes the token from HF_TOKEN.",
    retry: false,
  },
  HUB_GATED: {
    action: "Accept the model's terms on its page, then set a token of the same account with “Precis: Set Hub Token”.",
    retry: false,
  },
  HUB_MISSING: { action: "Check the repository's name and precis.hub.endpoint.", retry: false },
  HUB_BUSY: {
    action: "Try again later; what was downloaded is kept, and the download goes on from there.",
    retry: true,
  },
  HUB_DAMAGED: {
    action:
      "Try again; if it happens again, what lies between (a proxy, a mirror) changes files: use another precis.hub.endpoint, or copy a folder here.",
    retry: true,
  },
  HUB_FAILED: { action: "Check precis.hub.endpoint: it must be the address of a Hugging Face Hub.", retry: false },
  GPU_LIBRARIES: {
    action:
      "Check the network and the proxy (http.proxy, or HTTPS_PROXY in the environment) and try again; what was downloaded is kept. Without them the GPU is used through WebGPU where its driver brings Vulkan.",
    retry: true,
  },
  GPU_LIBRARIES_NONE: {
    action: "Nothing is to do: GPUs of this system are used without further libraries.",
    retry: false,
  },
  DOWNLOAD_RUNNING: { action: "Wait until the other window or process has this model, or end it there.", retry: true },
  DISK_FULL: { action: "Free disk space or choose another folder with --out.", retry: true },
  MEMORY_SHORT: {
    action: "Close programs that hold memory, or run “Precis: Choose Model” and take a smaller one.",
    retry: true,
  },
  READER_SLOW: {
    action:
      "Run “Precis: Choose Model” and take a smaller one, let a graphics card run it (precis.execution.providers), or raise precis.completion.deadlineMs.",
    retry: true,
  },
  NODE_TOO_OLD: { action: "Use Node 22 or newer; `npm install` in the checkout brings Node 24.", retry: false },
  USAGE: { action: "See `precis --help`.", retry: false },
} as const satisfies Record<string, { action: string; retry: boolean }>;

export type EngineErrorCode = keyof typeof ENGINE_ERRORS;

/** Could not go on. Thrown; caught only in `main.ts` and `cli.ts`. */
export class EngineError extends Error {
  readonly code: EngineErrorCode;
  readonly action: string;
  readonly retry: boolean;

  constructor(code: EngineErrorCode, detail: string, options?: { cause?: unknown }) {
    super(`${code}: ${detail}`, options);
    this.name = "EngineError";
    this.code = code;
    this.action = ENGINE_ERRORS[code].action;
    this.retry = ENGINE_ERRORS[code].retry;
  }
}

/** Also one that another bundle threw, whose class is its own. */
export function isEngineError(error: unknown): error is EngineError {
  if (error instanceof EngineError) return true;
  return error instanceof Error && error.name === "EngineError" && "code" in error && "action" in error;
}

/** Whether the reader's server is what failed. */
export function isOfEndpoint({ code }: EngineError): boolean {
  return code.startsWith("ENDPOINT_");
}

/** The message of anything thrown, for a log or an `EngineError`'s detail. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A dynamic import by name found no file: Node, the bundler and the test runner each say it in their own words. */
export function isMissingModule(error: unknown): boolean {
  if (errnoOf(error) === "ERR_MODULE_NOT_FOUND") return true;
  return error instanceof Error && /not found in bundle|Unknown variable dynamic import/.test(error.message);
}

/** Node's errno code (`ENOENT`, `EACCES`, …), or undefined for anything else. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
