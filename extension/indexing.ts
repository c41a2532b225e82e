// Indexing that a person asks for: a notification with progress that can be cancelled, LSP work-done progress mapped onto
// the editor's; and the end of indexing that began by itself.
import { randomUUID } from "node:crypto";
import { type CancellationToken, type Progress, ProgressLocation, window } from "vscode";
import {
  ExecuteCommandRequest,
  LSPErrorCodes,
  ResponseError,
  WorkDoneProgress,
  WorkDoneProgressCancelNotification,
} from "vscode-languageclient/node";
import { ENGINE_COMMANDS, type IndexingOutcome } from "../engine/protocol.ts";
import type { Engine } from "./client.ts";
import { indexText } from "./statusText.ts";

/** Everything anew. */
export function reindex(engine: Engine): Promise<void> {
  return showIndexing(engine, { command: ENGINE_COMMANDS.reindex, doing: "re-indexing", done: "re-indexed" });
}

/** What changed, also while indexing is paused. */
export function indexNow(engine: Engine): Promise<void> {
  return showIndexing(engine, { command: ENGINE_COMMANDS.index, doing: "indexing", done: "indexed" });
}

export async function cancelIndexing(engine: Engine): Promise<void> {
  if (!engine.isRunning()) return;
  await engine.client.sendRequest(ExecuteCommandRequest.type, { command: ENGINE_COMMANDS.cancel, arguments: [] });
}

interface Wish {
  readonly command: string;
  readonly doing: string;
  readonly done: string;
}

async function showIndexing(engine: Engine, wish: Wish): Promise<void> {
  if (!engine.isRunning()) {
    void window.showWarningMessage("Precis: the engine is not running, so there is nothing to index with yet.");
    return;
  }
  const options = { location: ProgressLocation.Notification, title: `Precis: ${wish.doing}`, cancellable: true };
  try {
    const outcome = await window.withProgress(options, (progress, token) =>
      runIndexing(engine, wish.command, progress, token),
    );
    switch (outcome.end) {
      case "done":
        void window.showInformationMessage(`Precis: ${wish.done} ${indexText(engine.status().index)}.`);
        return;
      case "read-only":
        void window.showInformationMessage(`Precis: ${outcome.message}.`);
        return;
      case "failed":
        void window.showErrorMessage(`Precis: ${wish.doing} failed. ${outcome.message}`);
    }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    void window.showErrorMessage(`Precis: ${wish.doing} failed. ${message}`);
  }
}

async function runIndexing(
  engine: Engine,
  command: string,
  progress: Progress<{ message?: string; increment?: number }>,
  cancellation: CancellationToken,
): Promise<IndexingOutcome> {
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
    const params = { command, arguments: [], workDoneToken };
    return (await client.sendRequest(ExecuteCommandRequest.type, params)) as IndexingOutcome;
  } catch (error) {
    if (cancellation.isCancellationRequested && isCancelled(error)) return { end: "cancelled", message: "cancelled" };
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
