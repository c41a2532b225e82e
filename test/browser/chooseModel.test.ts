// A model chosen in a real VS Code: the list, the question, a token that is wanted, the progress, and the model in use. The hub
// is a local one that serves a small checkpoint under the name of a published one.
import { cpSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { ROOT } from "../../scripts/run.ts";
import { type HubServer, startHubServer } from "../hubServer.ts";
import { copyOfSample, type Editor, findPackage, screenshot, startEditor, temporaryFolder } from "./harness.ts";
import { closeEditors, openFile, runCommand, statusItem, until, webview } from "./workbench.ts";

const TINY = join(ROOT, "test/fixtures/qwen2/tiny");
const REPOSITORY = "Qwen/Qwen2.5-Coder-0.5B";
const TITLE = "Qwen2.5-Coder 0.5B";
const SHARD = "model-00002-of-00003.safetensors";
const TOKEN = "hf_browser";

describe("Choose Model", () => {
  let editor: Editor;
  let hub: HubServer;
  let folder: string;

  beforeAll(async () => {
    hub = await startHubServer({ repositories: { [REPOSITORY]: TINY }, token: TOKEN });
    folder = temporaryFolder();
    cpSync(TINY, join(folder, "copied"), { recursive: true });
    editor = await startEditor({
      workspace: copyOfSample(),
      vsix: findPackage(),
      machineSettings: { "precis.hub.endpoint": hub.url },
    });
    await openFile(editor, "parcels/returns.py");
  });

  afterAll(async () => {
    await editor?.stop();
    await hub?.close();
    for (const path of [editor?.workspace, folder])
      if (path !== undefined) rmSync(path, { recursive: true, force: true });
  });

  afterEach(async ({ task }) => {
    if (task.result?.state === "fail")
      await screenshot(editor.page, `failed-${task.name.replace(/\W+/g, "-").slice(0, 60)}`);
    await editor.page.keyboard.press("Escape");
    await closeEditors(editor.page);
  });

  const rows = () => editor.page.locator(".quick-input-list .monaco-list-row");
  const toast = (text: string) => editor.page.locator(".notifications-toasts .notification-toast", { hasText: text });
  const chosenPack = (): unknown => {
    const text = readFileSync(join(editor.userData, "Machine/settings.json"), "utf8");
    return (JSON.parse(text) as Record<string, unknown>)["precis.pack"];
  };
  /** Until the panel shows a pack of that title. */
  async function expectInUse(title: string | RegExp): Promise<void> {
    await runCommand(editor.page, "Precis: Open Settings Panel");
    await webview(editor.page).locator("#packTitle").filter({ hasText: title }).waitFor({ timeout: 60_000 });
  }

  it("asks before it downloads, wants a token, shows progress, and the model is in use", async () => {
    const { page } = editor;
    await runCommand(page, "Precis: Choose Model");
    await rows().filter({ hasText: TITLE }).waitFor();
    for (const size of ["0.5B", "1.5B", "3B", "7B"])
      expect(
        await rows()
          .filter({ hasText: `Qwen2.5-Coder ${size}` })
          .textContent(),
      ).toMatch(/fit/);
    await screenshot(page, "model-1-list");
    expect(hub.requests).toEqual([]);
    await rows().filter({ hasText: TITLE }).click();
    const question = page.locator(".monaco-dialog-box");
    await question.getByText(`Download ${TITLE}?`).waitFor();
    await screenshot(page, "model-2-question");
    expect(await question.textContent()).toContain("Licence: Apache 2.0.");
    expect(hub.requests).toEqual([]);
    await question.getByRole("button", { name: "Download" }).click();

    await toast("HUB_TOKEN").waitFor();
    await screenshot(page, "model-3-token-wanted");
    await toast("HUB_TOKEN").getByRole("button", { name: "Set Token" }).click();
    const input = page.locator(".quick-input-widget:visible input.input");
    await input.waitFor();
    expect(await input.getAttribute("type")).toBe("password");
    hub.faults.set(SHARD, [{ kind: "slow", pauseMs: 1500 }]);
    await input.fill(TOKEN);
    await page.keyboard.press("Enter");

    await toast(`getting ${TITLE}`)
      .getByText(/of .* MB/)
      .waitFor();
    await screenshot(page, "model-4-progress");
    await toast("is ready, and chosen").waitFor({ timeout: 60_000 });
    await until("the setting", () => chosenPack() === "qwen2.5-coder-0.5b");
    await statusItem(page, "Precis: ready").waitFor({ timeout: 60_000 });
    await expectInUse(TITLE);
    await screenshot(page, "model-5-in-use");
    expect(JSON.stringify(hub.requests.filter(({ server }) => server === "files"))).not.toContain(TOKEN);
  });

  it("is found in the panel, and the model that came with Precis can be chosen again", async () => {
    const { page } = editor;
    await runCommand(page, "Precis: Open Settings Panel");
    await webview(page).getByRole("button", { name: "Choose model" }).click();
    await rows().filter({ hasText: "comes with Precis" }).waitFor();
    expect(await rows().filter({ hasText: TITLE }).textContent()).toContain("in use");
    await screenshot(page, "model-6-installed");
    await rows().filter({ hasText: "comes with Precis" }).click();
    await until("the setting", () => chosenPack() === "auto");
    await expectInUse(/Precis/);
  });

  it("takes a folder that was copied to a machine without a network", async () => {
    const { page } = editor;
    const before = hub.requests.length;
    await runCommand(page, "Precis: Choose Model");
    await rows().filter({ hasText: "Folder on this machine" }).click();
    const input = page.locator(".quick-input-widget:visible input.input");
    await until("the dialog", async () => (await input.inputValue()).includes("/"));
    // The dialog completes what it opened with, in the middle of what is written meanwhile.
    await until("the folder", async () => {
      await input.fill(`${join(folder, "copied")}/`);
      await page.waitForTimeout(500);
      const isWritten = (await input.inputValue()) === `${join(folder, "copied")}/`;
      return isWritten && (await rows().filter({ hasText: "parcels" }).count()) === 0;
    });
    await page.locator(".quick-input-widget:visible").getByRole("button", { name: "Use Folder" }).click();
    await toast("is ready, and chosen").filter({ hasText: "copied" }).waitFor({ timeout: 60_000 });
    await until("the setting", () => chosenPack() === "copied");
    expect(hub.requests.length).toBe(before);
  });

  it("removes one that is in use after a question, and the model that came with Precis takes its place", async () => {
    const { page } = editor;
    await runCommand(page, "Precis: Choose Model");
    const row = page.getByRole("option", { name: / copied, / });
    await row.waitFor();
    expect(await rows().filter({ hasText: "comes with Precis" }).locator(".codicon-trash").count()).toBe(0);
    await row.hover();
    await screenshot(page, "model-8-remove");
    await row.locator(".codicon-trash").click();
    const question = page.locator(".monaco-dialog-box");
    await question.getByText("Remove copied?").waitFor();
    expect(await question.textContent()).toContain("takes its place");
    await screenshot(page, "model-9-remove-question");
    await question.getByRole("button", { name: "Remove" }).click();
    await toast("copied is removed").waitFor({ timeout: 60_000 });
    await until("the setting", () => chosenPack() === "auto");
    await statusItem(page, "Precis: ready").waitFor({ timeout: 60_000 });
    await expectInUse(/Precis/);
    await runCommand(page, "Precis: Choose Model");
    await rows().filter({ hasText: "comes with Precis" }).waitFor();
    expect(await row.count()).toBe(0);
  });

  // The one system whose runtime leaves libraries to an install script.
  it.runIf(process.platform === "linux" && process.arch === "x64")(
    "asks before it downloads the GPU's libraries",
    async () => {
      const { page } = editor;
      await runCommand(page, "Precis: Download GPU Libraries");
      const question = page.locator(".monaco-dialog-box");
      await question.getByText("Download the libraries for CUDA?").waitFor();
      expect(await question.textContent()).toContain("Microsoft.ML.OnnxRuntime.Gpu.Linux");
      await screenshot(page, "model-7-gpu-libraries");
      await question.getByRole("button", { name: "Cancel" }).click();
    },
  );
});
