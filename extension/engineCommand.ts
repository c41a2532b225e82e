// A long command of the engine: its LSP work-done progress mapped onto the editor's, and its end by the person.
import { randomUUID } from "node:crypto";
import type { CancellationToken, Progress } from "vscode";
import {
  ExecuteCommandRequest,
  LSPErrorCodes,
  ResponseError,
  WorkDoneProgress,
  WorkDoneProgressCancelNotification,
} from "vscode-languageclient/node";
import type { Engine } from "./client.ts";

export interface EngineCommand {
  readonly command: string;
  readonly arguments: readonly object[];
}

/** What the engine answers; undefined when the person ended it. */
export async function runEngineCommand<T>(
  { client }: Engine,
  { command, arguments: given }: EngineCommand,
  progress: Progress<{ message?: string; increment?: number }>,
  cancellation: CancellationToken,
): Promise<T | undefined> {
  const workDoneToken = randomUUID();
  let reached = 0;
  const listener = client.onProgress(WorkDoneProgress.type, workDoneToken, (value) => {
    if (value.kind === "end") return;
    const increment = Math.max(0, (value.percentage ?? reached) - reached);
    reached += increment;
    progress.report({ increment, ...(value.message === undefined ? {} : { message: value.message }) });
  });
  const cancelling = cancellation.onCancellationRequested(() => {
    void client.sendNotification(WorkDoneProgressCancelNotification.type, { token: workDoneToken });
  });
  try {
    const params = { command, arguments: [...given], workDoneToken };
    return (await client.sendRequest(ExecuteCommandRequest.type, params)) as T;
  } catch (error) {
    if (cancellation.isCancellationRequested && isCancelled(error)) return undefined;
    throw error;
  } finally {
    cancelling.dispose();
    listener.dispose();
  }
}

function isCancelled(error: unknown): boolean {
  return (
    error instanceof ResponseError &&
    (error.code === LSPErrorCodes.RequestCancelled || error.code === LSPErrorCodes.ServerCancelled)
  );
}
