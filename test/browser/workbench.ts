// What a person does in the workbench, as functions: open a file, wait, type, run a command, read the ghost text.
import { setTimeout as sleep } from "node:timers/promises";
import type { FrameLocator, Locator, Page } from "playwright-core";
import { pageUrl } from "../../scripts/codeServer.ts";
import type { Editor } from "./harness.ts";

const STARTED_MS = 90_000;

/** Opens the workbench with a file at `path:line:column` and waits until Precis is ready: earlier typing gets no ghost text. */
export async function openFile(editor: Editor, file: string, page: Page = editor.page): Promise<void> {
  await page.goto(pageUrl(editor.server, editor.workspace, `${editor.workspace}/${file}`));
  await page.locator(".editor-instance .monaco-editor .view-lines").first().waitFor({ timeout: STARTED_MS });
  await statusItem(page, "Precis: ready").waitFor({ timeout: STARTED_MS });
}

export function statusItem(page: Page, text: string): Locator {
  return page.locator('.statusbar-item[id$="precis.status"]', { hasText: text });
}

export function ghostText(page: Page): Locator {
  return page.locator(".monaco-editor .ghost-text-decoration");
}

export async function readGhostText(page: Page): Promise<string> {
  await ghostText(page).first().waitFor({ timeout: 30_000 });
  return (await ghostText(page).allInnerTexts()).join("").replaceAll("\u00a0", " ");
}

/** Puts the caret at the end of the open file. */
export async function goToEnd(page: Page): Promise<void> {
  await page.locator(".editor-instance .monaco-editor .view-lines").first().click();
  await page.keyboard.press("Control+End");
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

export async function until<T>(what: string, look: () => T | undefined | false, milliseconds = 15_000): Promise<T> {
  const giveUpAt = Date.now() + milliseconds;
  for (;;) {
    const seen = look();
    if (seen !== undefined && seen !== false) return seen;
    if (Date.now() > giveUpAt) throw new Error(`not seen within ${milliseconds} ms: ${what}`);
    await sleep(50);
  }
}
