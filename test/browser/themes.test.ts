// Precis' own pages in light, dark and high-contrast themes: every text can be read, every control shows that it has the
// keyboard, and long paths cut nothing off. Measured in the page; the pictures are for people.
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { FrameLocator } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { copyOfSample, type Editor, findPackage, screenshot, startEditor, temporaryFolder } from "./harness.ts";
import { closeEditors, goToEnd, openFile, runCommand, showFile, statusItem, until, webview } from "./workbench.ts";

const THEMES = [
  ["Default Light Modern", "vs"],
  ["Default Dark Modern", "vs-dark"],
  ["Default High Contrast", "hc-black"],
  ["Default High Contrast Light", "hc-light"],
] as const;

/** Of WCAG's level AA, for text of ordinary size. */
const LEAST_CONTRAST = 4.5;

const LONG = "a-department-with-a-rather-long-name/and-a-team-of-the-same-kind/a-repository-named-by-a-committee";
const FILE = "parcels/returns.py";

interface Measured {
  /** Texts with too little contrast, each with what it has. */
  readonly faint: readonly string[];
  /** Elements that stick out of the page to the right. */
  readonly cut: readonly string[];
}

/** Runs in the page, which is not compiled with the DOM's types. */
const MEASURE = `(() => {
  const parse = (text) => {
    const srgb = /^color\\(srgb ([^)]+)\\)/.exec(text);
    const numbers = (srgb?.[1] ?? text).match(/[\\d.]+/g).map(Number);
    const [r, g, b, a = 1] = srgb === null ? numbers : [...numbers.slice(0, 3).map((n) => n * 255), numbers[3]];
    return { r, g, b, a };
  };
  const over = (top, under) => {
    const mix = (a, b) => a * top.a + b * (1 - top.a);
    return { r: mix(top.r, under.r), g: mix(top.g, under.g), b: mix(top.b, under.b), a: 1 };
  };
  const light = ({ r, g, b }) => {
    const [x, y, z] = [r, g, b].map((n) => (n / 255 <= 0.04045 ? n / 255 / 12.92 : ((n / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const contrast = (a, b) => {
    const [more, less] = [light(a), light(b)].sort((x, y) => y - x);
    return (more + 0.05) / (less + 0.05);
  };
  const page = parse(getComputedStyle(document.documentElement).getPropertyValue("--vscode-editor-background").trim().startsWith("#")
    ? (() => { const probe = document.createElement("i"); probe.style.color = "var(--vscode-editor-background)"; document.body.append(probe); const color = getComputedStyle(probe).color; probe.remove(); return color; })()
    : getComputedStyle(document.body).backgroundColor);
  const ancestors = (element) => element === null ? [] : [...ancestors(element.parentElement), element];
  const faint = [];
  const cut = [];
  for (const element of document.body.querySelectorAll("*")) {
    const box = element.getBoundingClientRect();
    if (box.width === 0 || box.height === 0 || !element.checkVisibility()) continue;
    const said = element.tagName.toLowerCase() + (element.id === "" ? "" : "#" + element.id) + " “" + element.textContent.trim().slice(0, 40) + "”";
    if (box.right > document.documentElement.clientWidth + 1 && element.closest("pre") === null) cut.push(said);
    const text = [...element.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim() !== "");
    if (text.length === 0 || element.matches(":disabled, :disabled *")) continue;
    const chain = ancestors(element);
    const ground = chain.reduce((under, each) => over(parse(getComputedStyle(each).backgroundColor), under), page);
    const opacity = chain.reduce((product, each) => product * Number(getComputedStyle(each).opacity), 1);
    const color = parse(getComputedStyle(element).color);
    const ratio = contrast(over({ ...color, a: color.a * opacity }, ground), ground);
    if (ratio < ${LEAST_CONTRAST}) faint.push(said + " " + ratio.toFixed(2));
  }
  return { faint, cut };
})()`;

/** Whether it is to be seen which control has the keyboard. */
const HAS_RING = `(() => {
  const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(document.activeElement);
  return outlineStyle !== "none" && parseFloat(outlineWidth) >= 1 && !/, 0\\)$|transparent/.test(outlineColor);
})()`;

let editor: Editor;
let folder: string;

beforeAll(async () => {
  folder = temporaryFolder();
  const workspace = join(folder, LONG);
  const sample = copyOfSample();
  cpSync(sample, workspace, { recursive: true });
  rmSync(sample, { recursive: true });
  mkdirSync(join(workspace, LONG), { recursive: true });
  writeFileSync(join(workspace, LONG, "everybody-who-ever-worked-here.pem"), "-----BEGIN CERTIFICATE-----\n");
  editor = await startEditor({ workspace, vsix: findPackage() });
  await openFile(editor, FILE);
});

afterAll(async () => {
  await editor?.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe.each(THEMES)("in %s", (theme, className) => {
  const shot = (name: string) => screenshot(editor.page, `theme-${className}-${name}`);

  beforeAll(async () => {
    const file = join(editor.workspace, ".vscode/settings.json");
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${JSON.stringify({ "workbench.colorTheme": theme }, null, 2)}\n`);
    await editor.page.locator(`.monaco-workbench.${className}`).waitFor();
  });

  async function expectReadable(page: FrameLocator): Promise<void> {
    const measured: Measured = await page.locator("body").evaluate(MEASURE);
    expect(measured).toEqual({ faint: [], cut: [] });
  }

  it("the panel", async () => {
    const { page } = editor;
    await runCommand(page, "Precis: Open Settings Panel");
    const panel = webview(page);
    await panel.locator("#files").filter({ hasText: /\d/ }).waitFor();
    await panel.locator("summary").first().click();
    await shot("panel");
    for (const control of await panel.locator("button:visible:enabled, input:visible:enabled, summary:visible").all()) {
      await control.focus();
      await page.keyboard.press("Shift");
      expect([await control.textContent(), await control.evaluate(HAS_RING)]).toEqual([expect.anything(), true]);
    }
    await panel.locator("#leftOut").scrollIntoViewIfNeeded();
    await shot("panel-below");
    await expectReadable(panel);
    await closeEditors(page);
  });

  it("the account of a completion, and the report of the doctor", async () => {
    const { page } = editor;
    await showFile(page, FILE);
    await goToEnd(page);
    await page.keyboard.type(" ");
    await page.waitForTimeout(2000);
    await runCommand(page, "Precis: Explain Last Completion");
    const account = webview(page);
    await account.locator("#text h1").waitFor();
    await shot("account");
    await expectReadable(account);
    await closeEditors(page);
    await runCommand(page, "Precis: Doctor");
    const report = webview(page);
    await report.locator("#text h1, #text h2").first().waitFor({ timeout: 90_000 });
    await shot("doctor");
    await expectReadable(report);
    await closeEditors(page);
  });

  it("the status bar's hover", async () => {
    const { page } = editor;
    await until("the item", async () => (await statusItem(page, "Precis").count()) === 1);
    await statusItem(page, "Precis").hover();
    const hover = page.locator(".monaco-hover:visible", { hasText: "Last completion" });
    await hover.waitFor();
    await shot("hover");
    // Nothing sticks out of the window.
    const box = await hover.boundingBox();
    expect(box !== null && box.x >= 0 && box.x + box.width <= 1280).toBe(true);
  });
});
