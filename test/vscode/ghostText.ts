// Ghost text inside the extension host: asked for, looked at by taking it, and waited for. No test of its own.
import { ok } from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { commands, extensions, Selection, type TextEditor, window } from "vscode";
import type { PrecisApi } from "../../extension/extension.ts";

export async function activate(): Promise<PrecisApi> {
  const extension = extensions.getExtension<PrecisApi>("precis.precis");
  ok(extension !== undefined, "the extension is not installed");
  const precis = await extension.activate();
  await until("ready", () => {
    const { state, message } = precis.status();
    if (state === "error") throw new Error(`the engine reports: ${message}`);
    return state === "ready";
  });
  return precis;
}

export async function until<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
  milliseconds = 30_000,
): Promise<T> {
  const giveUpAt = Date.now() + milliseconds;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    if (Date.now() > giveUpAt) throw new Error(`not seen within ${milliseconds} ms: ${what}`);
    await sleep(50);
  }
}

/** The caret behind the document's last character that is no white space. */
export function caretToEnd(editor: TextEditor): void {
  const { document } = editor;
  const caret = document.positionAt(document.getText().trimEnd().length);
  editor.selection = new Selection(caret, caret);
}

/** Asks by hand, and waits until the engine has answered. */
export async function trigger(precis: PrecisApi): Promise<void> {
  const before = lastOf(precis);
  await commands.executeCommand("editor.action.inlineSuggest.trigger");
  await until("an answer", () => lastOf(precis) !== before);
}

/** What the engine said of its last request; another text for another request. */
export function lastOf(precis: PrecisApi): string {
  return JSON.stringify(precis.status().last);
}

/** Runs a command that takes ghost text until it has; what was added, undefined where there was nothing to take. */
export async function take(
  editor: TextEditor,
  command = "editor.action.inlineSuggest.commit",
  milliseconds = 10_000,
): Promise<string | undefined> {
  const { document } = editor;
  const before = document.getText();
  const caret = document.offsetAt(editor.selection.active);
  const giveUpAt = Date.now() + milliseconds;
  while (Date.now() < giveUpAt) {
    await commands.executeCommand(command);
    const after = document.getText();
    if (after !== before) return after.slice(caret, after.length - (before.length - caret));
    await sleep(100);
  }
  return undefined;
}

/** Long enough for a request that should not be made to be seen. */
export function aMoment(): Promise<void> {
  return sleep(1500);
}

/** Without a question about what was not saved. */
export async function closeAll(): Promise<void> {
  const tabs = window.tabGroups.all.flatMap((group) => group.tabs);
  for (const _ of tabs) await commands.executeCommand("workbench.action.revertAndCloseActiveEditor");
  await commands.executeCommand("workbench.action.closeAllEditors");
}
