// Documents that are no plain files, and what VS Code's own commands do with several offers and with parts of one.
import { notStrictEqual, ok, strictEqual } from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  ConfigurationTarget,
  commands,
  NotebookCellData,
  NotebookCellKind,
  NotebookData,
  NotebookRange,
  type TextEditor,
  Uri,
  window,
  workspace,
} from "vscode";
import type { PrecisApi } from "../../extension/extension.ts";
import { activate, aMoment, caretToEnd, closeAll, lastOf, take, trigger, until } from "./ghostText.ts";

/** Of another file of the workspace. */
const FOREIGN = "record_scan";
const UNFINISHED = `from parcels.desk import Desk
from parcels.models import Parcel


def return_parcel(parcel: Parcel, desk: Desk) -> None:
    """Send a refused parcel back to where it came from."""
    scan =`;

const root = (): string => workspace.workspaceFolders?.[0]?.uri.fsPath ?? "";
const inRoot = (path: string): Uri => Uri.file(join(root(), path));

let precis: PrecisApi;

async function explained(): Promise<string> {
  return (await precis.explain()) ?? "";
}

async function openUnfinished(): Promise<TextEditor> {
  await closeAll();
  const editor = await window.showTextDocument(inRoot("parcels/returns.py"));
  caretToEnd(editor);
  return editor;
}

async function configure(section: string, name: string, value: unknown): Promise<void> {
  await workspace.getConfiguration(section).update(name, value, ConfigurationTarget.Workspace);
}

describe("several offers and parts of one", () => {
  before(async () => {
    precis = await activate();
  });
  afterEach(closeAll);

  it("a manual trigger brings several, and the editor's command shows the next", async () => {
    const first = await openUnfinished();
    await trigger(precis);
    const best = await take(first);
    ok(best !== undefined);
    const second = await openUnfinished();
    await trigger(precis);
    ok((await explained()).includes("## Also offered"));
    await aMoment();
    await commands.executeCommand("editor.action.inlineSuggest.showNext");
    await aMoment();
    const next = await take(second);
    ok(next !== undefined);
    notStrictEqual(next, best);
  });

  it("what is left behind an accepted word is there at once, and is never computed again", async () => {
    const whole = await openUnfinished();
    await trigger(precis);
    const text = (await take(whole)) ?? "";
    ok(/\w\W+\w/.test(text), `offered: ${text}`);
    const editor = await openUnfinished();
    await trigger(precis);
    const word = (await take(editor, "editor.action.inlineSuggest.acceptNextWord")) ?? "";
    ok(word !== "" && word.length < text.length && text.startsWith(word), `of ${text} the word ${word}`);
    await aMoment();
    // Either the editor did not ask at all, or it was answered from memory.
    const account = await explained();
    ok(account.includes("**Reused**") || account.includes("## Also offered"), account);
    strictEqual(word + ((await take(editor)) ?? ""), text);
  });

  it("counts them for the person alone, and forgets when told", async () => {
    const editor = await openUnfinished();
    // What became of earlier offers is told with the change that follows them.
    await aMoment();
    await commands.executeCommand("precis.forgetStatistics");
    await trigger(precis);
    // One character taken cannot be told from one typed.
    let word: string | undefined;
    do word = await take(editor, "editor.action.inlineSuggest.acceptNextWord");
    while (word?.length === 1);
    await aMoment();
    await commands.executeCommand("type", { text: "#" });
    await until("a part", async () => (await precis.statistics())?.total.acceptedPart === 1);
    const counted = await precis.statistics();
    strictEqual(counted?.total.characters, word?.length);
    strictEqual(counted?.days[0]?.language, "python");
    await commands.executeCommand("precis.statistics");
    await until("the page", () =>
      window.tabGroups.all.some((group) => group.tabs.some(({ label }) => label === "Precis statistics")),
    );
    await commands.executeCommand("precis.forgetStatistics");
    strictEqual((await precis.statistics())?.total.shown, 0);
  });

  it("asks nothing while the editor's own switch for ghost text is off", async () => {
    await configure("editor", "inlineSuggest.enabled", false);
    try {
      const editor = await openUnfinished();
      await aMoment();
      const before = lastOf(precis);
      await commands.executeCommand("type", { text: " " });
      await aMoment();
      strictEqual(lastOf(precis), before);
      strictEqual(await take(editor, undefined, 500), undefined);
    } finally {
      await configure("editor", "inlineSuggest.enabled", undefined);
    }
    const editor = await openUnfinished();
    const before = lastOf(precis);
    await commands.executeCommand("type", { text: " " });
    await until("a request", () => lastOf(precis) !== before);
    ok((await take(editor)) !== undefined);
  });
});

describe("documents that are no plain files", () => {
  before(async () => {
    precis = await activate();
  });
  afterEach(closeAll);

  it("an untitled file gets ghost text while it is typed, from the workspace's code", async () => {
    const document = await workspace.openTextDocument({ language: "python", content: UNFINISHED.slice(0, -1) });
    strictEqual(document.uri.scheme, "untitled");
    const editor = await window.showTextDocument(document);
    caretToEnd(editor);
    await commands.executeCommand("type", { text: " =" });
    const text = await take(editor, undefined, 20_000);
    const account = await explained();
    ok(text?.includes(FOREIGN), `offered: ${text}\n${account}`);
    // What it read are files of the workspace.
    ok(/\[parcels\/\w+\.py:\d+–\d+\]/.test(account), account);
  });

  it("a notebook's cell is read with the cells above it, in their order", async () => {
    const cells = [
      [NotebookCellKind.Code, "from parcels.desk import Desk\nfrom parcels.models import Parcel", "python"],
      [NotebookCellKind.Markup, "Words that are no code.", "markdown"],
      [NotebookCellKind.Code, "desk = Desk()\nparcel = Parcel()", "python"],
      [NotebookCellKind.Code, "def again(parcel: Parcel, desk: Desk) -> None:\n    scan =", "python"],
      [NotebookCellKind.Code, "last = 1", "python"],
    ] as const;
    const data = new NotebookData(cells.map(([kind, text, language]) => new NotebookCellData(kind, text, language)));
    const notebook = await workspace.openNotebookDocument("jupyter-notebook", data);
    await window.showNotebookDocument(notebook, { selections: [new NotebookRange(3, 4)] });
    await commands.executeCommand("notebook.cell.edit");
    const editor = await until("the cell's editor", () => {
      const active = window.activeTextEditor;
      return active?.document.uri.scheme === "vscode-notebook-cell" && active;
    });
    ok(editor.document.getText().includes("scan ="), editor.document.getText());
    caretToEnd(editor);
    await trigger(precis);
    const account = await explained();
    const text = await take(editor);
    ok(text !== undefined && text.trim() !== "", account);
    const read = account.slice(account.indexOf("## What the reader read"));
    const order = ["from parcels.desk import Desk", "desk = Desk()", "def again", "last = 1"].map((code) =>
      read.indexOf(code),
    );
    ok(
      order.every((at) => at > 0),
      `${order}\n${account}`,
    );
    strictEqual(JSON.stringify(order.toSorted((a, b) => a - b)), JSON.stringify(order));
    ok(!account.includes("Words that are no code"));
  });

  it("in a comparison the new side is completed, the old one is not", async () => {
    const scheme = "precis-before";
    const provider = workspace.registerTextDocumentContentProvider(scheme, {
      provideTextDocumentContent: () => UNFINISHED,
    });
    try {
      const before = Uri.from({ scheme, path: "/parcels/returns.py" });
      await commands.executeCommand("vscode.diff", before, inRoot("parcels/returns.py"), "before and after");
      const changed = await until("the new side", () => {
        const active = window.activeTextEditor;
        return active?.document.uri.scheme === "file" && active;
      });
      caretToEnd(changed);
      await trigger(precis);
      ok((await take(changed))?.includes(FOREIGN));
      await commands.executeCommand("undo");
      await commands.executeCommand("diffEditor.switchSide");
      const old = await until("the old side", () => {
        const active = window.activeTextEditor;
        return active?.document.uri.scheme === scheme && active;
      });
      caretToEnd(old);
      await aMoment();
      const last = lastOf(precis);
      await commands.executeCommand("editor.action.inlineSuggest.trigger");
      await aMoment();
      strictEqual(lastOf(precis), last);
      const account = await explained();
      ok(account.includes(`nothing has been asked. Documents of the kind \`${scheme}:\``), account.slice(0, 500));
    } finally {
      provider.dispose();
    }
  });

  it("a very large file is left alone, and the account says why", async () => {
    const line = "counted = 1  # one line of very many, none of which says anything\n";
    const path = inRoot("large.py");
    writeFileSync(path.fsPath, line.repeat(Math.ceil(4.3e6 / line.length)));
    const editor = await window.showTextDocument(path);
    caretToEnd(editor);
    await commands.executeCommand("editor.action.inlineSuggest.trigger");
    await until("the reason", () => precis.status().last?.reason === "document-too-large");
    ok((await explained()).includes("larger than 4 million characters"));
    strictEqual(await take(editor, undefined, 500), undefined);
    await closeAll();
    await workspace.fs.delete(path);
  });

  it("a document that cannot be written gets nothing, and the account says why", async () => {
    await configure("files", "readonlyInclude", { "**/messages.py": true });
    try {
      const path = inRoot("parcels/messages.py");
      const editor = await window.showTextDocument(path);
      caretToEnd(editor);
      await aMoment();
      const before = editor.document.getText();
      const last = lastOf(precis);
      await commands.executeCommand("editor.action.inlineSuggest.trigger");
      await aMoment();
      strictEqual(lastOf(precis), last);
      strictEqual(editor.document.getText(), before);
      const account = await explained();
      ok(account.includes("For `messages.py` nothing has been asked."), account.slice(0, 500));
      ok(account.includes("read-only"), account.slice(0, 500));
    } finally {
      await configure("files", "readonlyInclude", undefined);
    }
  });
});
