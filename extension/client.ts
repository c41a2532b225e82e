// The engine as the editor sees it: one child process behind a language client, started again when it dies.
// Everything the rest of the extension knows about the engine comes through `Engine`.
import { type Event, EventEmitter, type ExtensionContext, type LogOutputChannel, Uri, window } from "vscode";
import {
  CloseAction,
  type CloseHandlerResult,
  ErrorAction,
  LanguageClient,
  RevealOutputChannelOn,
  State,
  TransportKind,
} from "vscode-languageclient/node";
import { type EngineStatus, type InitializationOptions, STATUS } from "../engine/protocol.ts";
import { inlineCompletionMiddleware } from "./inlineCompletions.ts";
import { createRestartPolicy } from "./restartPolicy.ts";
import { chosenMode } from "./settings.ts";

/**
 * Of the C library under Linux: freed blocks of 128 KiB and more go back to the system. Left to itself it keeps up to 32 MiB
 * a block, and most of what unloaded models held. One arena: each thread's own would have holes of its own, some 10 MiB in
 * all. Other systems have no such variables.
 */
const ENVIRONMENT = { MALLOC_MMAP_THRESHOLD_: "131072", MALLOC_TRIM_THRESHOLD_: "131072", MALLOC_ARENA_MAX: "1" };

/**
 * MiB of V8's young generation, of each thread. By default it grows to 16 and keeps what it grew to; the engine's work is in
 * native code, and memory that stays small is worth more to the editor beside it. Its old generation has a ceiling: all that
 * grows with the workspace lies in the store or has a bound of its own, so what reaches 1 GiB is a fault, and a restart ends it.
 */
const NODE_FLAGS = ["--max-semi-space-size=2", "--max-old-space-size=1024"];

/** Where a debugger finds the engine when the extension itself is being debugged. */
const INSPECT_PORT = 6009;

/** The library pops up a notification for each failed request; ours go to the log, and death has one message of its own. */
class QuietClient extends LanguageClient {
  override error(message: string, data?: unknown): void {
    super.error(message, data, false);
  }
}

export class Engine {
  readonly client: LanguageClient;
  readonly onDidChangeStatus: Event<EngineStatus>;
  private readonly policy = createRestartPolicy();
  private readonly statusChanged = new EventEmitter<EngineStatus>();
  private lastStatus: EngineStatus = waitingStatus("starting", "The engine is starting.");
  private endPause: (() => void) | undefined;
  private readonly log: LogOutputChannel;
  private isDisposed = false;

  constructor(context: ExtensionContext, log: LogOutputChannel) {
    this.log = log;
    this.onDidChangeStatus = this.statusChanged.event;
    const module = context.asAbsolutePath("dist/main.js");
    this.client = new QuietClient(
      "precis",
      "Precis",
      {
        run: { module, transport: TransportKind.stdio, options: { env: ENVIRONMENT, execArgv: NODE_FLAGS } },
        debug: {
          module,
          transport: TransportKind.stdio,
          options: { env: ENVIRONMENT, execArgv: [...NODE_FLAGS, `--inspect=${INSPECT_PORT}`] },
        },
      },
      {
        // Every language: which of them are completed is the engine's decision, and it gives a reason.
        documentSelector: [
          { scheme: "file" },
          { scheme: "untitled" },
          { scheme: "vscode-vfs" },
          { scheme: "vsls" },
          { notebook: "*" },
        ],
        outputChannel: log,
        revealOutputChannelOn: RevealOutputChannelOn.Never,
        initializationOptions: initializationOptions(context),
        initializationFailedHandler: () => false,
        errorHandler: {
          error: (_error, _message, count) => ({
            action: (count ?? 0) <= 3 ? ErrorAction.Continue : ErrorAction.Shutdown,
            handled: true,
          }),
          closed: () => this.closed(),
        },
        middleware: {
          provideInlineCompletionItems: inlineCompletionMiddleware(() => this.isRunning()),
        },
      },
    );
    this.client.onNotification(STATUS, (status: EngineStatus) => this.setStatus(status));
    this.client.onDidChangeState(({ newState }) => {
      if (newState !== State.Running) return;
      this.policy.started(Date.now());
      this.log.info(`The engine runs as process ${this.pid() ?? "unknown"}.`);
    });
  }

  status(): EngineStatus {
    return this.lastStatus;
  }

  pid(): number | undefined {
    return this.client.serverProcess?.pid;
  }

  /** False between a death and the next handshake, when a request could only fail. */
  isRunning(): boolean {
    return this.client.state === State.Running && this.endPause === undefined;
  }

  /** Undefined while the engine does not run, and where it dies before it answers: of that its status tells, and its log. */
  async ask<T>(method: string, params: unknown = null): Promise<T | undefined> {
    if (!this.isRunning()) return undefined;
    try {
      return await this.client.sendRequest<T>(method, params);
    } catch (error) {
      this.log.warn(`${method} was not answered: ${String(error)}`);
      return undefined;
    }
  }

  /** Resolves when the engine answered the handshake or when its death has been dealt with; never rejects. */
  async start(): Promise<void> {
    this.setStatus(waitingStatus("starting", "The engine is starting."));
    try {
      await this.client.start();
    } catch (error) {
      // `closed` hears of a process that ended; a process that never began is only heard of here.
      this.log.error(`The engine did not start: ${String(error)}`);
      if (this.pid() === undefined && this.endPause === undefined) this.giveUp("The engine could not be started.");
    }
  }

  /** A person asks: stop what runs, skip any pause, count deaths from zero. */
  async restart(): Promise<void> {
    this.policy.forget();
    if (this.endPause !== undefined) {
      this.endPause();
      return;
    }
    if (this.client.state === State.Starting) return;
    await this.stop();
    await this.start();
  }

  async dispose(): Promise<void> {
    this.isDisposed = true;
    this.endPause?.();
    await this.stop();
    this.statusChanged.dispose();
  }

  private async stop(): Promise<void> {
    if (this.client.state !== State.Running) return;
    try {
      await this.client.stop();
    } catch (error) {
      // An engine that does not answer in time is ended by the library; the next start does not depend on it.
      this.log.warn(`The engine did not stop in time: ${String(error)}`);
    }
  }

  private async closed(): Promise<CloseHandlerResult> {
    if (this.isDisposed) return { action: CloseAction.DoNotRestart, handled: true };
    const pauseMs = this.policy.died(Date.now());
    if (pauseMs === undefined) {
      this.giveUp("The engine stopped again and again.");
      return { action: CloseAction.DoNotRestart, handled: true };
    }
    this.log.warn(`The engine stopped; it starts again in ${pauseMs} ms.`);
    // First, so that whoever hears of the status asks nothing of what is gone.
    const paused = this.pause(pauseMs);
    this.setStatus(waitingStatus("starting", `The engine stopped; it starts again in ${pauseMs / 1000} s.`));
    await paused;
    if (this.isDisposed) return { action: CloseAction.DoNotRestart, handled: true };
    return { action: CloseAction.Restart, handled: true };
  }

  private pause(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.endPause = undefined;
        resolve();
      };
      const timer = setTimeout(end, milliseconds);
      this.endPause = end;
    });
  }

  private giveUp(why: string): void {
    this.log.error(why);
    this.setStatus(waitingStatus("error", `${why} Its log says more.`));
    void window.showErrorMessage(`Precis: ${why}`, "Restart", "Show Log").then((choice) => {
      if (choice === "Restart") return this.restart();
      if (choice === "Show Log") this.log.show();
      return undefined;
    });
  }

  private setStatus(status: EngineStatus): void {
    if (this.isDisposed) return;
    this.lastStatus = status;
    this.statusChanged.fire(status);
  }
}

function initializationOptions(context: ExtensionContext): InitializationOptions {
  // Without a folder there is no storage for the workspace; the store then lies in the extension's own folder.
  const storage = context.storageUri ?? Uri.joinPath(context.globalStorageUri, "noFolder");
  // A second window on a workspace gets a storage folder of its own, and so does a window to which a folder is added; a
  // workspace folder's store is one in all of them.
  const stores = Uri.joinPath(context.globalStorageUri, "stores");
  const models = Uri.joinPath(context.globalStorageUri, "models", "packs");
  return {
    storageDir: storage.fsPath,
    storesDir: stores.fsPath,
    packsDir: context.asAbsolutePath("packs"),
    modelsDir: models.fsPath,
  };
}

/** What the editor shows while there is no engine to ask. */
function waitingStatus(state: "starting" | "error", message: string): EngineStatus {
  return {
    state,
    message,
    mode: "none",
    modeChoice: chosenMode(),
    percent: 0,
    indexing: null,
    paused: null,
    pack: null,
    index: { files: 0, chunks: 0, nodes: 0, dbBytes: 0, skipped: {}, readOnly: false, folders: [] },
    execution: null,
    last: null,
  };
}
