// When the built engine asks and stays silent, over LSP: what the editor says, notebooks, lists, memory, what is in flight.
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  DidChangeTextDocumentNotification,
  type InlineCompletionItem,
  type InlineCompletionParams,
  InlineCompletionRequest,
  InlineCompletionTriggerKind,
  type Position,
  type SelectedCompletionInfo,
} from "vscode-languageserver-protocol/node";
import { ACCEPTED, EDITOR_STATE, type EditorState } from "../../engine/protocol.ts";
import { startClient, type TestClient } from "./client.ts";
import { copyWorkspace, type TestWorkspace, UNFINISHED } from "./workspace.ts";

let workspace: TestWorkspace;
let client: TestClient;

const END = { line: 10, character: 31 };

beforeEach(async () => {
  workspace = await copyWorkspace();
  await start();
});

async function start(): Promise<void> {
  client = await startClient({ workspace: workspace.dir, storageDir: workspace.storageDir });
  await client.status(({ state }) => state === "ready");
}

afterEach(async () => {
  await client.stop();
  await workspace.remove();
});

interface Asking {
  readonly trigger?: InlineCompletionTriggerKind;
  readonly selected?: SelectedCompletionInfo;
}

async function ask(uri: string, position: Position, asking: Asking = {}): Promise<InlineCompletionItem[]> {
  const params: InlineCompletionParams = {
    textDocument: { uri },
    position,
    context: {
      triggerKind: asking.trigger ?? InlineCompletionTriggerKind.Automatic,
      ...(asking.selected === undefined ? {} : { selectedCompletionInfo: asking.selected }),
    },
  };
  const answer = await client.connection.sendRequest(InlineCompletionRequest.type, params);
  return Array.isArray(answer) ? answer : (answer?.items ?? []);
}

function textOf(item: InlineCompletionItem | undefined): string {
  return typeof item?.insertText === "string" ? item.insertText : (item?.insertText.value ?? "");
}

async function type(uri: string, version: number, position: Position, text: string, removed = 0): Promise<void> {
  const start = { line: position.line, character: position.character - removed };
  await client.connection.sendNotification(DidChangeTextDocumentNotification.type, {
    textDocument: { uri, version },
    contentChanges: [{ range: { start, end: position }, text }],
  });
}

function say(uri: string, state: Partial<EditorState>): Promise<void> {
  const whole: EditorState = { uri, cursors: 1, isDiff: false, isReadOnly: false, ...state };
  return client.connection.sendNotification(EDITOR_STATE, whole);
}

async function openDocument(uri: string, languageId = "python", text = UNFINISHED): Promise<string> {
  await client.connection.sendNotification("textDocument/didOpen", {
    textDocument: { uri, languageId, version: 1, text },
  });
  return uri;
}

describe("silences and their reasons", () => {
  async function silentFor(uri: string, asking: Asking = {}): Promise<string> {
    expect(await ask(uri, END, asking)).toEqual([]);
    return client.explain();
  }
  const byHand = { trigger: InlineCompletionTriggerKind.Invoked };

  it("several cursors, comparisons, undo and deletion, but not by hand", async () => {
    const uri = await client.open(join(workspace.dir, "shop/exchange.py"), UNFINISHED);
    await say(uri, { cursors: 2 });
    expect(await silentFor(uri)).toContain("`several-cursors`");
    await say(uri, { isDiff: true });
    expect(await silentFor(uri)).toContain("`diff-editor`");
    await say(uri, { isReadOnly: true });
    expect(await silentFor(uri, byHand)).toContain("`read-only-document`");
    await say(uri, { undoneVersion: 2 });
    await type(uri, 2, END, "M");
    await type(uri, 3, { ...END, character: END.character + 1 }, "", 1);
    expect(await silentFor(uri)).toContain("`after-deletion`");
    await say(uri, { undoneVersion: 4 });
    await type(uri, 4, END, "M");
    expect(await ask(uri, { ...END, character: END.character + 1 })).toEqual([]);
    expect(await client.explain()).toContain("`after-undo`");
    await ask(uri, { ...END, character: END.character + 1 }, byHand);
    expect(await client.explain()).not.toContain("after-undo");
  });

  it("schemes, languages and sizes", async () => {
    expect(await silentFor(await openDocument("git:/shop/exchange.py"), byHand)).toContain(
      "`scheme-not-supported(git)`",
    );
    const markdown = await openDocument("file:///nowhere/notes.md", "markdown");
    expect(await silentFor(markdown)).toContain("`language-off(markdown)`");
    await ask(markdown, END, byHand);
    expect(await client.explain()).not.toContain("language-off");
    await client.changeSettings({ languages: { "*": true, python: false } });
    await client.status(({ state }) => state === "ready");
    const python = await openDocument("file:///nowhere/exchange.py");
    await expect.poll(() => silentFor(python)).toContain("`language-off(python)`");
    await ask(markdown, END);
    expect(await client.explain()).not.toContain("language-off");
    const large = await openDocument("untitled:large.py", "python", `${UNFINISHED}1\n`.repeat(30_000));
    expect(await silentFor(large, byHand)).toContain("`document-too-large`");
  });

  it("no engine, and completions turned off", async () => {
    const uri = await client.open(join(workspace.dir, "shop/exchange.py"), UNFINISHED);
    await client.changeSettings({ enabled: false });
    await client.status(({ state }) => state === "off");
    expect(await silentFor(uri, byHand)).toContain("`off`");
    await client.changeSettings({ pack: "no-such-pack" });
    await client.status(({ state }) => state === "error");
    expect(await silentFor(uri, byHand)).toContain("`not-ready`");
  });
});

describe("beside the list", () => {
  it("the offer begins with the selected item, or there is none", async () => {
    const text = `${UNFINISHED}ta`;
    const uri = await client.open(join(workspace.dir, "shop/exchange.py"), text);
    const end = { ...END, character: END.character + 2 };
    const range = { start: END, end };
    const [item] = await ask(uri, end, { selected: { range, text: "take_article" } });
    if (item !== undefined) {
      expect(textOf(item).startsWith("take_article")).toBe(true);
      expect(item.range?.start).toEqual(range.start);
    }
    expect(await client.explain()).not.toContain("list-item-differs");
    expect(await ask(uri, end, { selected: { range, text: "retake" } })).toEqual([]);
    expect(await client.explain()).toContain("`list-item-differs`");
  });
});

describe("reuse", () => {
  it("answers from memory while the offer is typed along", async () => {
    const uri = await client.open(join(workspace.dir, "shop/exchange.py"), UNFINISHED);
    const [first] = await ask(uri, END);
    const text = textOf(first);
    expect(text.length).toBeGreaterThan(3);
    await type(uri, 2, END, text.slice(0, 1));
    const [second] = await ask(uri, { ...END, character: END.character + 1 });
    expect(textOf(second)).toBe(text.slice(1));
    expect(await client.explain()).toContain("typed along the last completion");
  });

  it("awaits what is in flight when the next keystroke goes along with it", async () => {
    const uri = await client.open(join(workspace.dir, "shop/exchange.py"), UNFINISHED);
    const [whole] = await ask(uri, END, { trigger: InlineCompletionTriggerKind.Invoked });
    const text = textOf(whole);
    // A fresh process remembers nothing.
    await client.stop();
    await start();
    await client.open(join(workspace.dir, "shop/exchange.py"), UNFINISHED);
    // From one answer the engine learns how long to wait for another.
    await ask(await openDocument("untitled:warm.py"), END, { trigger: InlineCompletionTriggerKind.Invoked });
    const early = ask(uri, END, { trigger: InlineCompletionTriggerKind.Invoked });
    await type(uri, 2, END, text.slice(0, 1));
    const [late] = await ask(uri, { ...END, character: END.character + 1 });
    await early;
    expect(textOf(late)).toBe(text.slice(1));
    expect(await client.explain()).toMatch(/asked for before the last keystroke|typed along/);
  });

  it("has computed the next line when it is asked for after an acceptance", async () => {
    const uri = await client.open(join(workspace.dir, "shop/exchange.py"), UNFINISHED);
    const [item] = await ask(uri, END);
    const text = textOf(item);
    const [argument] = item?.command?.arguments ?? [];
    const prefetched = new Promise<string>((resolve) => {
      client.connection.onNotification("window/logMessage", ({ message }: { message: string }) => {
        if (message.startsWith("prefetched")) resolve(message);
      });
    });
    await type(uri, 2, END, text);
    await client.connection.sendNotification(ACCEPTED, argument);
    const next = (await prefetched).replace("prefetched: ", "");
    const opened = `\n${" ".repeat(8)}`;
    await type(uri, 3, { line: 10, character: END.character + text.length }, opened);
    const [ahead] = await ask(uri, { line: 11, character: 8 });
    expect(textOf(ahead)).toBe(next);
    expect(await client.explain()).toContain("prefetched after an acceptance");
  });
});

describe("notebooks and untitled files", () => {
  it("a cell is read with the cells above it", async () => {
    const notebook = "file:///nowhere/study.ipynb";
    const cell = (n: number) => `vscode-notebook-cell:/nowhere/study.ipynb#W${n}`;
    const texts = ["from shop.money import Money\nprice = Money(3)\n", "# words", "total = "];
    const languages = ["python", "markdown", "python"];
    await client.connection.sendNotification("notebookDocument/didOpen", {
      notebookDocument: {
        uri: notebook,
        notebookType: "jupyter-notebook",
        version: 1,
        cells: texts.map((_, n) => ({ kind: languages[n] === "markdown" ? 1 : 2, document: cell(n) })),
      },
      cellTextDocuments: texts.map((text, n) => ({ uri: cell(n), languageId: languages[n], version: 1, text })),
    });
    const items = await ask(cell(2), { line: 0, character: 8 });
    const account = await client.explain();
    expect(account).toContain("study.ipynb:1:9");
    // More than the eight characters of its own: the cell alone would be too little text.
    expect(account).not.toContain("too-little-text");
    for (const { range } of items) expect(range?.start).toEqual({ line: 0, character: 8 });
  });

  it("an untitled file is completed, an empty one is not", async () => {
    const untitled = await openDocument("untitled:Untitled-1");
    await ask(untitled, END);
    const account = await client.explain();
    expect(account).toContain("positions");
    // It is no file of the workspace yet, and reads from it all the same; its name gets the language's ending.
    expect(account).toContain("[Untitled-1.py:11:32]");
    expect(account).toMatch(/\[shop\/\w+\.py:\d+–\d+\]/);
    const named = await openDocument(`untitled:${join(workspace.dir, "shop/new.py")}`);
    await ask(named, END, { trigger: InlineCompletionTriggerKind.Invoked });
    expect(await client.explain()).toContain("[shop/new.py:11:32]");
    const empty = await openDocument("untitled:Untitled-2", "python", "");
    expect(await ask(empty, { line: 0, character: 0 })).toEqual([]);
    expect(await client.explain()).toContain("`too-little-text`");
  });
});
