// Re-indexing with a notification that shows progress and can be cancelled: LSP work-done progress, mapped onto the editor's.
import { randomUUID } from "node:crypto";
import { type CancellationToken, type Progress, ProgressLocation, window } from "vscode";
import {
  ExecuteCommandRequest,
  LSPErrorCodes,
  ResponseError,
  WorkDoneProgress,
  WorkDoneProgressCancelNotification,
} from "vscode-languageclient/node";
import { ENGINE_COMMANDS } from "../engine/protocol.ts";
import type { Engine } from "./client.ts";
import { indexText } from "./statusText.ts";

export async function reindex(engine: Engine): Promise<void> {
  if (!engine.isRunning()) {
    void window.showWarningMessage("Precis: the engine is not running, so there is nothing to re-index with yet.");
    return;
  }
  const options = { location: ProgressLocation.Notification, title: "Precis: re-indexing", cancellable: true };
  try {
    const isDone = await window.withProgress(options, (progress, token) => runReindex(engine, progress, token));
    if (isDone) void window.showInformationMessage(`Precis: re-indexed ${indexText(engine.status().index)}.`);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    void window.showErrorMessage(`Precis: re-indexing failed. ${message}`);
  }
}

/** False when the person cancelled. */
async function runReindex(
  engine: Engine,
  progress: Progress<{ message?: string; increment?: number }>,
  cancellation: CancellationToken,
): Promise<boolean> {
  const { client } = engine;
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
    await client.sendRequest(ExecuteCommandRequest.type, {
      command: ENGINE_COMMANDS.reindex,
      arguments: [],
      workDoneToken,
    });
    return !cancellation.isCancellationRequested;
  } catch (error) {
    if (cancellation.isCancellationRequested && isCancelled(error)) return false;
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
