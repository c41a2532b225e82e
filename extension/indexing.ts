// Indexing that a person asks for: a notification with progress that can be cancelled; and the end of indexing that began by
// itself.
import { ProgressLocation, window } from "vscode";
import { ExecuteCommandRequest } from "vscode-languageclient/node";
import { ENGINE_COMMANDS, type IndexingOutcome } from "../engine/protocol.ts";
import type { Engine } from "./client.ts";
import { runEngineCommand } from "./engineCommand.ts";
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
      runEngineCommand<IndexingOutcome>(engine, { command: wish.command, arguments: [] }, progress, token),
    );
    switch (outcome?.end) {
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
