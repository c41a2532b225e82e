// Ghost text under a person's hands: every way to take it, to go on beside it and to be rid of it, judged by the file on disk.
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ROOT } from "../../scripts/run.ts";
import { copyOfSample, type Editor, findPackage, screenshot, startEditor } from "./harness.ts";
import {
  closeEditors,
  ghostText,
  goToEnd,
  openFile,
  readGhostText,
  runCommand,
  save,
  seenLines,
  selectedItem,
  showFile,
  until,
  watchLine,
  webview,
} from "./workbench.ts";

const FILE = "parcels/returns.py";
const UNFINISHED = readFileSync(join(ROOT, "samples/parcels", FILE), "utf8").trimEnd();
/** What is typed to get ghost text; the file on disk lacks it, so that a save is seen. */
const TYPED = " =";
const START = UNFINISHED.slice(0, -TYPED.length);
/** The list opens on request alone, and holds the document's words: by itself the editor knows no others of Python. */
const SETTINGS = {
  "[python]": {
    "editor.wordBasedSuggestions": "matchingDocuments",
    "editor.quickSuggestions": { other: "off", comments: "off", strings: "off" },
  },
};
const [LINE = ""] = UNFINISHED.split("\n").slice(-1);

describe("ghost text in VS Code", () => {
  let editor: Editor;

  const path = (): string => join(editor.workspace, FILE);

  async function saved(text: string): Promise<void> {
    await save(editor.page);
    await until(`on disk: …${text.slice(-60)}`, () => readFileSync(path(), "utf8") === text);
  }

  /** Types what asks for it, and waits until the whole of it is there. */
  async function offered(): Promise<string> {
    const { page } = editor;
    await goToEnd(page);
    await page.keyboard.type(TYPED, { delay: 150 });
    let text = "";
    await until("ghost text behind the typed", async () => {
      text = await readGhostText(page);
      return text.startsWith(" desk.");
    });
    return text;
  }

  beforeAll(async () => {
    expect(UNFINISHED.endsWith(TYPED)).toBe(true);
    const workspace = copyOfSample();
    writeFileSync(join(workspace, FILE), START);
    editor = await startEditor({ workspace, vsix: findPackage(), settings: SETTINGS });
    await openFile(editor, FILE);
  });

  afterAll(async () => {
    await editor?.stop();
    if (editor !== undefined) rmSync(editor.workspace, { recursive: true, force: true });
  });

  beforeEach(async () => {
    writeFileSync(path(), START);
    await showFile(editor.page, FILE);
  });

  afterEach(async ({ task }) => {
    if (task.result?.state === "fail")
      await screenshot(editor.page, `failed-${task.name.replace(/\W+/g, "-").slice(0, 60)}`);
    await closeEditors(editor.page);
  });

  it("stays still while it is typed along, and nothing is computed again", async () => {
    const { page } = editor;
    const text = await offered();
    await watchLine(page, LINE.trim());
    const along = text.slice(0, " desk.rec".length);
    await page.keyboard.type(along, { delay: 120 });
    await until("the rest", async () => (await ghostText(page).allInnerTexts()).join("") === text.slice(along.length));
    await screenshot(page, "30-typed-along");
    // What was drawn in each frame: the line with its ghost text, never without.
    expect(new Set(await seenLines(page))).toEqual(new Set([LINE + text]));
    await runCommand(page, "Precis: Explain Last Completion");
    const account = webview(page).locator("#text");
    await account.getByText("Reused", { exact: true }).waitFor();
    expect(await account.textContent()).toMatch(/typed along the last completion.*The reader was not asked again/);
    await screenshot(page, "31-explained-typed-along");
    await showFile(page, FILE);
    await saved(UNFINISHED + along);
  });

  it("is taken by Tab, and undo gives back what stood there", async () => {
    const { page } = editor;
    const text = await offered();
    await page.keyboard.press("Tab");
    await saved(UNFINISHED + text);
    await page.keyboard.press("Control+Z");
    await saved(UNFINISHED);
    await page.keyboard.press("Control+Shift+Z");
    await saved(UNFINISHED + text);
  });

  it("is taken word by word, and the rest stays", async () => {
    const { page } = editor;
    const text = await offered();
    await page.keyboard.press("Control+ArrowRight");
    let rest = text;
    await until("a shorter rest", async () => {
      rest = await readGhostText(page);
      return rest.length < text.length;
    });
    expect(rest).not.toBe("");
    expect(text.endsWith(rest)).toBe(true);
    await screenshot(page, "32-first-word");
    await saved(UNFINISHED + text.slice(0, -rest.length));
    await page.keyboard.press("Tab");
    await saved(UNFINISHED + text);
  });

  it("goes at Escape, and leaves no trace", async () => {
    const { page } = editor;
    await offered();
    await page.keyboard.press("Escape");
    await ghostText(page).first().waitFor({ state: "detached" });
    await saved(UNFINISHED);
    await page.keyboard.type(" None");
    await saved(`${UNFINISHED} None`);
  });

  it("goes on from the item that the open list has selected", async () => {
    const { page } = editor;
    const text = await offered();
    const word = " de";
    await page.keyboard.type(word, { delay: 120 });
    const list = page.locator(".suggest-widget.visible");
    await page.keyboard.press("Control+Space");
    await list.waitFor();
    for (let row = 0; row < 10 && (await selectedItem(page)) !== "desk"; row += 1) {
      await page.keyboard.press("ArrowDown");
      await page.waitForTimeout(100);
    }
    expect(await selectedItem(page)).toBe("desk");
    // What the item adds and what is offered behind it are two things to the editor, and one line to a person.
    const line = page.locator(".editor-instance .view-line", { hasText: /scan\s=/ });
    await until("ghost text beside the list", async () => {
      return (await line.textContent())?.replaceAll("\u00a0", " ") === LINE + text;
    });
    expect(await list.isVisible()).toBe(true);
    await screenshot(page, "33-beside-the-list");
    // The list is the editor's: Tab takes its item, and the next Tab what is still offered.
    await page.keyboard.press("Tab");
    await list.waitFor({ state: "hidden" });
    await until("the rest behind the item", async () => (await readGhostText(page)) === text.slice(" desk".length));
    await page.keyboard.press("Tab");
    await saved(UNFINISHED + text);
  });
});
