// Inside the real extension host, with the real engine and the bundled pack, on a copy of the sample workspace.
import { ok, strictEqual } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  commands,
  ExtensionKind,
  env,
  extensions,
  Position,
  Selection,
  type TextEditor,
  UIKind,
  Uri,
  window,
  workspace,
} from "vscode";
import type { PrecisApi } from "../../extension/extension.ts";
import { setMode } from "../../extension/settings.ts";

const COMMANDS = [
  "reindex",
  "index",
  "cancelIndexing",
  "toggle",
  "openPanel",
  "explain",
  "forgetStatistics",
  "showLog",
  "restart",
  "menu",
];
/** Typed nowhere in returns.py: defined in desk.py and used in the other modules. */
const FOREIGN = "record_scan";

const root = (): string => workspace.workspaceFolders?.[0]?.uri.fsPath ?? "";

async function activate(): Promise<PrecisApi> {
  const extension = extensions.getExtension<PrecisApi>("precis.precis");
  ok(extension !== undefined, "the extension is not installed");
  return extension.activate();
}

async function until<T>(what: string, look: () => T | undefined | false, milliseconds = 60_000): Promise<T> {
  const giveUpAt = Date.now() + milliseconds;
  for (;;) {
    const seen = look();
    if (seen !== undefined && seen !== false) return seen;
    if (Date.now() > giveUpAt) throw new Error(`not seen within ${milliseconds} ms: ${what}`);
    await sleep(50);
  }
}

async function untilReady(precis: PrecisApi): Promise<void> {
  await until("ready", () => {
    const { state, message } = precis.status();
    if (state === "error") throw new Error(`the engine reports: ${message}`);
    return state === "ready";
  });
}

/** returns.py as it is on disk, with the caret at the end of the unfinished line. */
async function openUnfinishedFile(): Promise<TextEditor> {
  await commands.executeCommand("workbench.action.closeAllEditors");
  const editor = await window.showTextDocument(Uri.file(join(root(), "parcels/returns.py")));
  const end = new Position(editor.document.lineCount - 1, 0);
  const last = editor.document.lineAt(end.line).text === "" ? end.line - 1 : end.line;
  const caret = editor.document.lineAt(last).range.end;
  editor.selection = new Selection(caret, caret);
  return editor;
}

/** Triggers ghost text and takes it; what was added, or undefined when nothing came in time. */
async function completion(editor: TextEditor, milliseconds: number): Promise<string | undefined> {
  const before = editor.document.getText();
  const caret = editor.document.offsetAt(editor.selection.active);
  const giveUpAt = Date.now() + milliseconds;
  await commands.executeCommand("editor.action.inlineSuggest.trigger");
  while (Date.now() < giveUpAt) {
    await commands.executeCommand("editor.action.inlineSuggest.commit");
    const after = editor.document.getText();
    if (after !== before) return after.slice(caret, after.length - (before.length - caret));
    await sleep(100);
  }
  return undefined;
}

async function revert(): Promise<void> {
  await commands.executeCommand("workbench.action.files.revert");
}

function workspaceSettings(): Record<string, unknown> {
  return JSON.parse(readFileSync(join(root(), ".vscode/settings.json"), "utf8")) as Record<string, unknown>;
}

describe("Precis in the extension host", () => {
  let precis: PrecisApi;

  before(async () => {
    precis = await activate();
    await untilReady(precis);
  });

  afterEach(revert);

  it("indexes the workspace with the bundled pack", () => {
    const { index, pack } = precis.status();
    ok(pack?.modes.includes("compressed"), JSON.stringify(pack));
    ok(index.files >= 10 && index.chunks > index.files && index.nodes > index.chunks, JSON.stringify(index));
    ok(index.dbBytes > 0);
  });

  it("runs beside the code, where a remote workspace's addresses are files", () => {
    const extension = extensions.getExtension("precis.precis");
    strictEqual(extension?.extensionKind, ExtensionKind.Workspace);
    // A browser's editor is remote by its nature.
    if (env.uiKind === UIKind.Web) ok(env.remoteName !== undefined);
    const [folder, ...others] = precis.status().index.folders;
    strictEqual(others.length, 0);
    strictEqual(workspace.workspaceFolders?.[0]?.uri.scheme, "file");
    strictEqual(folder?.root, root());
    ok(folder.indexedAt !== null && folder.error === null && !folder.readOnly, JSON.stringify(folder));
  });

  it("indexes on command what changed", async () => {
    await commands.executeCommand("precis.index");
    const { state, paused } = precis.status();
    strictEqual(state, "ready");
    strictEqual(paused, null);
  });

  it("registers its commands", async () => {
    const registered = new Set(await commands.getCommands(true));
    for (const name of COMMANDS) ok(registered.has(`precis.${name}`), name);
  });

  it("offers ghost text that uses another file, and the editor takes it", async () => {
    const editor = await openUnfinishedFile();
    ok(!editor.document.getText().includes(FOREIGN));
    const text = await completion(editor, 30_000);
    ok(text?.includes(FOREIGN), `offered: ${text}`);
    const last = precis.status().last;
    // The bundled model's own choice.
    strictEqual(precis.status().modeChoice, "auto");
    strictEqual(last?.mode, "compressed");
    ok(last.totalMs > 0);
  });

  it("offers nothing when toggled off, and again when toggled on", async () => {
    await commands.executeCommand("precis.toggle");
    await until("off", () => precis.status().state === "off");
    strictEqual(workspaceSettings()["precis.enabled"], false);
    strictEqual(await completion(await openUnfinishedFile(), 3000), undefined);
    await commands.executeCommand("precis.toggle");
    await until("ready", () => precis.status().state === "ready");
    // The file is opened anew: the editor asks only once for the same place in the same text.
    ok((await completion(await openUnfinishedFile(), 30_000)) !== undefined);
  });

  it("writes the panel's choice of mode into the settings, and the next completion obeys", async () => {
    await setMode("compressed");
    strictEqual(workspaceSettings()["precis.mode"], "compressed");
    await until("compressed", () => precis.status().mode === "compressed");
    await completion(await openUnfinishedFile(), 10_000);
    strictEqual(precis.status().last?.mode, "compressed");
    await revert();
    await setMode("full");
    await until("full", () => precis.status().mode === "full");
  });

  it("re-indexes on command", async () => {
    const { files } = precis.status().index;
    await commands.executeCommand("precis.reindex");
    await untilReady(precis);
    strictEqual(precis.status().index.files, files);
  });

  it("explains the last completion in a preview", async () => {
    await commands.executeCommand("precis.explain");
    await until("the preview", () =>
      window.tabGroups.all.some((group) => group.tabs.some((tab) => tab.label.includes("Last completion"))),
    );
  });

  it("opens the settings panel once", async () => {
    await commands.executeCommand("precis.openPanel");
    await commands.executeCommand("precis.openPanel");
    const tabs = window.tabGroups.all.flatMap((group) => group.tabs).filter((tab) => tab.label === "Precis");
    strictEqual(tabs.length, 1);
  });

  it("starts a killed engine again and completes", async () => {
    const pid = precis.enginePid();
    ok(pid !== undefined);
    process.kill(pid, "SIGKILL");
    await until("another process", () => precis.enginePid() !== undefined && precis.enginePid() !== pid);
    await untilReady(precis);
    ok((await completion(await openUnfinishedFile(), 30_000)) !== undefined);
  });

  it("restarts the engine on command", async () => {
    const pid = precis.enginePid();
    await commands.executeCommand("precis.restart");
    await until("another process", () => precis.enginePid() !== undefined && precis.enginePid() !== pid);
    await untilReady(precis);
  });
});
