// The index as a person sees it: what was left out, progress and its end, several folders, a second window.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { FrameLocator, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { ROOT } from "../../scripts/run.ts";
import { type Editor, findPackage, screenshot, startEditor, temporaryFolder } from "./harness.ts";
import { sampleWithLeftOut } from "./leftOutWorkspace.ts";
import {
  closeEditors,
  openFile,
  openInNewWindow,
  openWorkspaceFile,
  runCommand,
  statusItem,
  webview,
} from "./workbench.ts";

const FILE = "parcels/desk.py";
const INDEXED_MS = 100_000;
const DESK = readFileSync(join(ROOT, "samples/parcels", FILE), "utf8");
const COPIES = 1200;
/** Of them, those that are left when all shall be indexed. */
const FEWER = 300;

async function openPanel(page: Page): Promise<FrameLocator> {
  await runCommand(page, "Precis: Open Settings Panel");
  const panel = webview(page);
  await panel.locator("#state", { hasText: /Ready|Indexing/ }).waitFor();
  return panel;
}

/** Every workspace here holds files; a window that was just opened may say zero before it has read its index. */
const filesIn = async (panel: FrameLocator): Promise<number> => {
  const said = panel.locator("#files", { hasText: /[1-9]/ });
  await said.waitFor();
  return Number((await said.textContent())?.replaceAll(",", ""));
};

describe("the index in VS Code", () => {
  let editor: Editor;
  let elsewhere: string;
  const path = (name: string): string => join(editor.workspace, name);
  /** No two alike, or the models would have nothing to do. */
  const writeCopies = (): void => {
    for (let n = 0; n < COPIES; n += 1)
      writeFileSync(path(`copies/desk_${n}.py`), DESK.replaceAll("parcel", `parcel_${n}`));
  };

  beforeAll(async () => {
    elsewhere = temporaryFolder();
    editor = await startEditor({ workspace: sampleWithLeftOut(), vsix: findPackage() });
    await editor.page.setViewportSize({ width: 1280, height: 1150 });
    await openFile(editor, FILE);
  });

  afterAll(async () => {
    await editor?.stop();
    if (editor !== undefined) rmSync(editor.workspace, { recursive: true, force: true });
    rmSync(elsewhere, { recursive: true, force: true });
  });

  afterEach(async ({ task }) => {
    if (task.result?.state === "fail")
      await screenshot(editor.page, `failed-${task.name.replace(/\W+/g, "-").slice(0, 60)}`);
    await closeEditors(editor.page);
  });

  it("lists what was left out, reason by reason, by keyboard alone", async () => {
    const { page } = editor;
    const panel = await openPanel(page);
    const reason = (name: string) => panel.locator(`details[data-reason=${name}]`);
    await reason("too-large").waitFor();
    for (const name of ["ignored", "secret", "binary", "not-utf8"]) expect(await reason(name).count(), name).toBe(1);
    await reason("too-large").locator("summary").focus();
    await page.keyboard.press("Enter");
    await reason("too-large").getByRole("button", { name: "parcels/rates.py" }).waitFor();
    expect(await reason("too-large").textContent()).toMatch(/Larger than the setting.*Raise the limit.*1573 KiB/s);
    await reason("ignored").locator("summary").focus();
    await page.keyboard.press("Enter");
    await screenshot(page, "20-left-out");
    await reason("ignored").getByRole("button", { name: "desk.local.py" }).focus();
    await page.keyboard.press("Enter");
    await page.locator(".explorer-folders-view .monaco-list-row.focused", { hasText: "desk.local.py" }).waitFor();
  });

  it("shows the progress of indexing that began by itself, and of what is asked for, and ends both at a click", async () => {
    const { page } = editor;
    const panel = await openPanel(page);
    const before = await filesIn(panel);
    mkdirSync(path("copies"));
    writeCopies();
    await panel
      .locator("#progressText", { hasText: /\d+ of \d{4} files, \d+(\.\d)? files\/s, \d+ \w+ left/ })
      .waitFor();
    await screenshot(page, "21-progress");
    await panel.locator("#cancelIndexing").click();
    await panel.locator("#pauseText", { hasText: "cancelled" }).waitFor();
    await statusItem(page, "Precis: ready, indexing paused").waitFor();
    await screenshot(page, "22-cancelled");
    expect(await filesIn(panel)).toBeLessThan(before + COPIES);

    for (let n = FEWER; n < COPIES; n += 1) rmSync(path(`copies/desk_${n}.py`));
    await panel.locator("#index").click();
    const toast = page.locator(".notification-toast", { hasText: "Precis: indexing" });
    await toast.getByText(/\d+ of \d+ files/).waitFor();
    await screenshot(page, "23-index-now");
    await page.locator(".notification-toast", { hasText: "Precis: indexed" }).waitFor({ timeout: INDEXED_MS });
    await panel.locator("#paused").waitFor({ state: "hidden" });
    expect(await filesIn(panel)).toBe(before + FEWER);

    writeCopies();
    // The button goes away with the work, so it is not waited for until it stands still.
    await panel.locator("#reindex").click();
    const again = page.locator(".notification-toast", { hasText: "Precis: re-indexing" });
    await again.getByText("Cancel").dispatchEvent("click");
    await statusItem(page, "Precis: ready").waitFor();
    expect(await page.locator(".notification-toast", { hasText: /re-indexed|failed/ }).count()).toBe(0);
    // Everything anew can wait; what changes is followed as before.
    expect(await panel.locator("#paused").isVisible()).toBe(false);
    rmSync(path("copies"), { recursive: true });
    await panel.locator("#files", { hasText: new RegExp(`^${before}$`) }).waitFor({ timeout: INDEXED_MS });
  });

  it("tells a second window who writes, and shows it what is new", async () => {
    const second = await openInNewWindow(editor, FILE);
    try {
      const panel = await openPanel(second);
      await panel.getByText("Another window writes this index").waitFor();
      expect(await panel.locator("#leftOutSum").textContent()).toContain("The window that writes");
      expect(await panel.locator("#reindex").isDisabled()).toBe(true);
      const before = await filesIn(panel);
      writeFileSync(path("parcels/fresh.py"), "def fresh(parcel):\n    return parcel\n");
      await panel.locator("#files", { hasText: new RegExp(`^${before + 1}$`) }).waitFor({ timeout: INDEXED_MS });
      await screenshot(second, "24-second-window");
    } finally {
      await closeEditors(second);
      await second.close();
    }
  });

  it("takes folders in and lets them go while it runs", async () => {
    const { page } = editor;
    const other = join(elsewhere, "other");
    mkdirSync(other);
    for (let n = 0; n < 3; n += 1) writeFileSync(join(other, `part_${n}.py`), `def part_${n}():\n    return ${n}\n`);
    const file = join(elsewhere, "both.code-workspace");
    const write = (...folders: string[]): void =>
      writeFileSync(file, JSON.stringify({ folders: folders.map((folder) => ({ path: folder })) }));
    write(editor.workspace);
    await openWorkspaceFile(editor, file);
    const panel = await openPanel(page);
    const alone = await filesIn(panel);
    expect(await panel.locator("#folders").isVisible()).toBe(false);

    write(editor.workspace, other, path("tests"));
    await panel.locator("#files", { hasText: new RegExp(`^${alone + 3}$`) }).waitFor({ timeout: INDEXED_MS });
    const rows = panel.locator("#folderRows tr");
    expect(await rows.allInnerTexts()).toEqual([
      expect.stringContaining(`with ${path("tests")}`),
      expect.stringMatching(/other\s+3\s/),
    ]);
    await screenshot(page, "25-folders");

    write(editor.workspace);
    await panel.locator("#files", { hasText: new RegExp(`^${alone}$`) }).waitFor({ timeout: INDEXED_MS });
    await panel.locator("#folders").waitFor({ state: "hidden" });
  });
});
