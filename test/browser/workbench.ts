// What a person does in the workbench, as functions: open a file, wait, type, run a command, read the ghost text.
import { setTimeout as sleep } from "node:timers/promises";
import type { FrameLocator, Locator, Page } from "playwright-core";
import { pageUrl } from "../../scripts/codeServer.ts";
import type { Editor } from "./harness.ts";

const STARTED_MS = 90_000;
const FOLDERS_MS = 15_000;

/** Opens the workbench with a file and waits until Precis is ready: earlier typing gets no ghost text. */
export async function openFile(editor: Editor, file: string, page: Page = editor.page): Promise<void> {
  await page.goto(pageUrl(editor.server, editor.workspace, `${editor.workspace}/${file}:1:1`));
  await page.locator(".editor-instance .monaco-editor .view-lines").first().waitFor({ timeout: STARTED_MS });
  await statusItem(page, "Precis: ready").waitFor({ timeout: STARTED_MS });
}

/**
 * Opens a `.code-workspace` file in the page. A workbench that had another workspace a moment ago may come up without the file's
 * folders; it has them once it is loaded again.
 */
export async function openWorkspaceFile(editor: Editor, file: string): Promise<void> {
  const { page, server } = editor;
  await page.goto(`${server.url}/?workspace=${encodeURI(file)}`);
  const folder = page.locator(".explorer-folders-view .monaco-list-row").first();
  const hasFolders = await folder.waitFor({ timeout: FOLDERS_MS }).then(
    () => true,
    () => false,
  );
  if (!hasFolders) await page.reload();
  await folder.waitFor({ timeout: STARTED_MS });
  await statusItem(page, "Precis: ready").waitFor({ timeout: STARTED_MS });
}

export async function openInNewWindow(editor: Editor, file: string): Promise<Page> {
  const page = await editor.context.newPage();
  await openFile(editor, file, page);
  return page;
}

/** Brings a file of the workspace to the front: its tab, or else Go to File. */
export async function showFile(page: Page, file: string): Promise<void> {
  const name = file.split("/").at(-1) ?? file;
  const tab = page.locator(".tab", { hasText: name });
  if ((await tab.count()) > 0) await tab.click();
  else await goToFile(page, file);
  await page.locator(".tab.active", { hasText: name }).waitFor();
  await page.locator(".editor-instance .monaco-editor .view-lines").first().waitFor();
}

async function goToFile(page: Page, file: string): Promise<void> {
  await page.keyboard.press("Control+P");
  const input = page.locator(".quick-input-widget:visible input.input");
  await input.waitFor();
  await input.fill(file);
  const name = file.split("/").at(-1) ?? file;
  await page.locator(".quick-input-list .monaco-list-row", { hasText: name }).first().waitFor();
  await page.keyboard.press("Enter");
}

/** Unsaved text is thrown away. */
export async function closeEditors(page: Page): Promise<void> {
  await runCommand(page, "View: Close All Editors");
  const dontSave = page.locator(".monaco-dialog-box").getByRole("button", { name: "Don't Save" });
  await until("no open editor", async () => {
    if ((await dontSave.count()) > 0) await dontSave.click();
    return (await page.locator(".tab").count()) === 0;
  });
}

export function statusItem(page: Page, text: string): Locator {
  return page.locator('.statusbar-item[id$="precis.status"]', { hasText: text });
}

export function ghostText(page: Page): Locator {
  return page.locator(".monaco-editor .ghost-text-decoration");
}

/** Waits for grey text. The editor draws it anew when it asks again, and for a moment there is none. */
export async function readGhostText(page: Page): Promise<string> {
  let text = "";
  await until(
    "ghost text",
    async () => {
      text = (await ghostText(page).allInnerTexts()).join("").replaceAll("\u00a0", " ");
      return text !== "";
    },
    30_000,
  );
  return text;
}

/** Begins to note, frame by frame, what the line that holds `text` looks like, ghost text included. */
export async function watchLine(page: Page, text: string): Promise<void> {
  await page.evaluate(`(() => {
    const seen = (globalThis.seenLines = []);
    const plain = (line) => line.textContent.replaceAll("\u00a0", " ");
    const look = () => {
      const line = [...document.querySelectorAll(".editor-instance .view-line")].map(plain).find((each) => each.includes(${JSON.stringify(text)}));
      if (seen.at(-1) !== line) seen.push(line);
      requestAnimationFrame(look);
    };
    look();
  })()`);
}

/** What `watchLine` saw, each change once. */
export function seenLines(page: Page): Promise<readonly (string | null)[]> {
  return page.evaluate("globalThis.seenLines");
}

/** The word that the editor's list would put in; empty where there is no list. */
export async function selectedItem(page: Page): Promise<string> {
  const names = await page.locator(".suggest-widget .monaco-list-row.focused .label-name").allInnerTexts();
  return names.join("").trim();
}

/** Puts the caret at the end of the open file. */
export async function goToEnd(page: Page): Promise<void> {
  await page.locator(".editor-instance .monaco-editor .view-lines").first().click();
  await page.keyboard.press("Control+End");
}

/** Typing is what asks for ghost text, so the text's last character is typed anew. */
export async function retypeLastCharacter(page: Page, text: string): Promise<void> {
  await page.keyboard.press("Backspace");
  await page.waitForTimeout(300);
  await page.keyboard.type(text.slice(-1));
}

export async function runCommand(page: Page, title: string): Promise<void> {
  await page.keyboard.press("F1");
  const input = page.locator(".quick-input-widget:visible input.input");
  await input.waitFor();
  await input.fill(`>${title}`);
  await page.locator(".quick-input-list .monaco-list-row", { hasText: title }).first().waitFor();
  await page.keyboard.press("Enter");
}

export async function save(page: Page): Promise<void> {
  await page.keyboard.press("Control+S");
}

/** The page inside the webview that is in front. */
export function webview(page: Page): FrameLocator {
  return page.frameLocator("iframe.webview.ready").frameLocator("iframe#active-frame");
}

export async function until(
  what: string,
  look: () => boolean | Promise<boolean>,
  milliseconds = 15_000,
): Promise<void> {
  const giveUpAt = Date.now() + milliseconds;
  for (;;) {
    if (await look()) return;
    if (Date.now() > giveUpAt) throw new Error(`not seen within ${milliseconds} ms: ${what}`);
    await sleep(50);
  }
}
