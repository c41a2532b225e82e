// A language client for tests: spawns the built engine, speaks LSP over stdio, remembers what the engine said of itself.
import { type ChildProcess, spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import {
  createProtocolConnection,
  DidChangeConfigurationNotification,
  DidChangeTextDocumentNotification,
  DidOpenTextDocumentNotification,
  ExecuteCommandRequest,
  ExitNotification,
  InitializedNotification,
  InitializeRequest,
  type InlineCompletionItem,
  InlineCompletionRequest,
  InlineCompletionTriggerKind,
  type ProtocolConnection,
  type RegistrationParams,
  ShutdownRequest,
  StreamMessageReader,
  StreamMessageWriter,
  WorkDoneProgress,
} from "vscode-languageserver-protocol/node";
import { ENGINE_COMMANDS, type EngineStatus, EXPLAIN, type Explanation, STATUS } from "../../engine/protocol.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export interface TestClient {
  readonly pid: number;
  readonly statuses: readonly EngineStatus[];
  /** Everything the engine wrote to standard error. */
  readonly errors: () => string;
  readonly exited: Promise<number | null>;
  settings: Record<string, unknown>;
  /** The present status if it fits, else the first that does. */
  status(fits: (status: EngineStatus) => boolean): Promise<EngineStatus>;
  open(path: string, text?: string): Promise<string>;
  /** Replaces the whole text. */
  change(uri: string, text: string): Promise<void>;
  complete(uri: string, line: number, character: number): Promise<InlineCompletionItem[]>;
  changeSettings(settings: Record<string, unknown>): Promise<void>;
  reindex(onProgress: (kind: string, percentage: number | undefined) => void, cancel?: AbortSignal): Promise<void>;
  /** One of `ENGINE_COMMANDS`; what it answers. */
  index(command: string): Promise<unknown>;
  explain(): Promise<string>;
  stop(): Promise<void>;
  kill(): Promise<void>;
  readonly connection: ProtocolConnection;
}

export interface TestClientOptions {
  readonly workspace: string;
  /** Addresses of the window's folders, in place of `workspace`. */
  readonly folders?: readonly string[];
  readonly storageDir: string;
  readonly storesDir?: string;
  readonly packsDir?: string;
  readonly modelsDir?: string;
  readonly settings?: Record<string, unknown>;
  readonly command?: readonly string[];
}

export async function startClient(options: TestClientOptions): Promise<TestClient> {
  const command = options.command ?? [join(ROOT, "dist/main.js"), "--stdio"];
  const child = spawn(process.execPath, command, { stdio: ["pipe", "pipe", "pipe"] });
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  let errors = "";
  child.stderr.on("data", (part) => {
    errors += String(part);
  });
  const connection = createProtocolConnection(
    new StreamMessageReader(child.stdout),
    new StreamMessageWriter(child.stdin),
  );
  const statuses: EngineStatus[] = [];
  const waiting = new Set<() => void>();
  connection.onNotification(STATUS, (status: EngineStatus) => {
    statuses.push(status);
    for (const look of waiting) look();
  });
  const client = clientOf({
    child,
    connection,
    statuses,
    waiting,
    exited,
    errors: () => errors,
    settings: options.settings ?? {},
  });
  connection.onRequest("workspace/configuration", () => [client.settings]);
  connection.onRequest("client/registerCapability", async ({ registrations }: RegistrationParams) => {
    // As the editor's library does before it answers.
    if (registrations.some(({ method }) => method === DidChangeConfigurationNotification.method))
      await connection.sendNotification(DidChangeConfigurationNotification.type, { settings: null });
    return null;
  });
  connection.onRequest("window/workDoneProgress/create", () => null);
  connection.listen();
  await connection.sendRequest(InitializeRequest.type, {
    processId: process.pid,
    rootUri: null,
    workspaceFolders: (options.folders ?? [pathToFileURL(options.workspace).href]).map((uri) => ({ uri, name: uri })),
    initializationOptions: {
      storageDir: options.storageDir,
      ...(options.storesDir === undefined ? {} : { storesDir: options.storesDir }),
      ...(options.packsDir === undefined ? {} : { packsDir: options.packsDir }),
      ...(options.modelsDir === undefined ? {} : { modelsDir: options.modelsDir }),
    },
    capabilities: {
      workspace: { configuration: true, workspaceFolders: true, didChangeConfiguration: { dynamicRegistration: true } },
      window: { workDoneProgress: true },
    },
  });
  await connection.sendNotification(InitializedNotification.type, {});
  return client;
}

interface Parts {
  readonly child: ChildProcess;
  readonly connection: ProtocolConnection;
  readonly statuses: EngineStatus[];
  readonly waiting: Set<() => void>;
  readonly exited: Promise<number | null>;
  readonly errors: () => string;
  readonly settings: Record<string, unknown>;
}

function clientOf({ child, connection, statuses, waiting, exited, errors, settings }: Parts): TestClient {
  let version = 1;
  let tokens = 0;
  return {
    pid: child.pid ?? 0,
    statuses,
    errors,
    exited,
    connection,
    settings,
    status: (fits) =>
      new Promise((resolve, reject) => {
        const look = () => {
          const now = statuses.at(-1);
          if (now === undefined || !fits(now)) return;
          waiting.delete(look);
          resolve(now);
        };
        waiting.add(look);
        void exited.then((code) => reject(new Error(`the engine exited with ${code}: ${errors()}`)));
        look();
      }),
    open: async (path, text) => {
      const uri = pathToFileURL(path).href;
      const content = text ?? (await readFile(path, "utf8"));
      await connection.sendNotification(DidOpenTextDocumentNotification.type, {
        textDocument: { uri, languageId: "python", version, text: content },
      });
      return uri;
    },
    change: async (uri, text) => {
      version += 1;
      await connection.sendNotification(DidChangeTextDocumentNotification.type, {
        textDocument: { uri, version },
        contentChanges: [{ text }],
      });
    },
    complete: async (uri, line, character) => {
      const answer = await connection.sendRequest(InlineCompletionRequest.type, {
        textDocument: { uri },
        position: { line, character },
        context: { triggerKind: InlineCompletionTriggerKind.Invoked },
      });
      return Array.isArray(answer) ? answer : (answer?.items ?? []);
    },
    changeSettings: async function (this: TestClient, changed) {
      this.settings = changed;
      await connection.sendNotification("workspace/didChangeConfiguration", { settings: null });
    },
    reindex: async (onProgress, cancel) => {
      tokens += 1;
      const workDoneToken = `test-${tokens}`;
      const listener = connection.onProgress(WorkDoneProgress.type, workDoneToken, (value) => {
        onProgress(value.kind, "percentage" in value ? value.percentage : undefined);
      });
      cancel?.addEventListener(
        "abort",
        () => void connection.sendNotification("window/workDoneProgress/cancel", { token: workDoneToken }),
      );
      await connection.sendRequest(ExecuteCommandRequest.type, {
        command: ENGINE_COMMANDS.reindex,
        arguments: [],
        workDoneToken,
      });
      listener.dispose();
    },
    index: (command) => connection.sendRequest(ExecuteCommandRequest.type, { command, arguments: [] }),
    explain: async () => ((await connection.sendRequest(EXPLAIN, null)) as Explanation).markdown,
    stop: async () => {
      await connection.sendRequest(ShutdownRequest.type);
      await connection.sendNotification(ExitNotification.type);
      await exited;
      connection.dispose();
    },
    kill: async () => {
      child.kill("SIGKILL");
      await exited;
      connection.dispose();
    },
  };
}
