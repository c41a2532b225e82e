// A throw-away VS Code in a throw-away browser: code-server on a free port, headless Chromium, folders that vanish.
// Shared by the browser tests and by `codeShim.ts`, which runs the in-host tests.
import { cpSync, globSync, mkdirSync, mkdtempSync, realpathSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { ensureChromium } from "../../scripts/chromium.ts";
import {
  type CodeServer,
  createProfile,
  installCodeServer,
  installExtension,
  startCodeServer,
} from "../../scripts/codeServer.ts";
import { ARTIFACTS, ROOT } from "../../scripts/run.ts";

/** Quiet: nothing on the screen but what a test is about, and no call to the network. */
const SETTINGS: Readonly<Record<string, unknown>> = {
  "security.workspace.trust.enabled": false,
  "telemetry.telemetryLevel": "off",
  "workbench.startupEditor": "none",
  "workbench.tips.enabled": false,
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "chat.disableAIFeatures": true,
  "extensions.autoUpdate": false,
  "extensions.autoCheckUpdates": false,
  "extensions.ignoreRecommendations": true,
  "update.mode": "none",
  "git.enabled": false,
  "files.autoSave": "off",
  "editor.accessibilitySupport": "off",
};

export interface Editor {
  readonly workspace: string;
  /** Where its extensions are installed. */
  readonly extensions: string;
  /** Settings, and what extensions keep. */
  readonly userData: string;
  readonly server: CodeServer;
  readonly context: BrowserContext;
  readonly page: Page;
  stop(): Promise<void>;
}

interface EditorOptions {
  readonly workspace: string;
  readonly vsix?: string;
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Those that only the machine's own file may give. */
  readonly machineSettings?: Readonly<Record<string, unknown>>;
}

/** A folder outside the checkout, so that no .gitignore of ours has a say in it. */
export function temporaryFolder(): string {
  return realpathSync(mkdtempSync(join(tmpdir(), "precis-")));
}

export function copyOfSample(): string {
  const folder = temporaryFolder();
  cpSync(join(ROOT, "samples/parcels"), folder, { recursive: true });
  return folder;
}

/** The newest package in the checkout. */
export function findPackage(): string {
  const found = globSync("precis-*.vsix", { cwd: ROOT }).map((name) => join(ROOT, name));
  const [newest] = found.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  if (newest === undefined) throw new Error("there is no precis-*.vsix; run `npm run package` first");
  return newest;
}

export async function startEditor({ workspace, vsix, settings = {}, machineSettings }: EditorOptions): Promise<Editor> {
  const executablePath = await ensureChromium();
  const entry = await installCodeServer();
  const folder = temporaryFolder();
  const profile = createProfile(folder, { ...SETTINGS, ...settings }, machineSettings);
  if (vsix !== undefined) await installExtension(entry, profile, vsix);
  const server = await startCodeServer(entry, profile, workspace);
  const context = await chromium.launchPersistentContext(join(folder, "chromium"), {
    executablePath,
    headless: true,
    viewport: { width: 1280, height: 800 },
    // A sandbox needs rights that a container rarely gives; only our own server is visited.
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--no-first-run",
      "--disable-background-networking",
    ],
  });
  const page = context.pages()[0] ?? (await context.newPage());
  return {
    workspace,
    extensions: profile.extensions,
    userData: profile.userData,
    server,
    context,
    page,
    async stop() {
      await context.close();
      await server.stop();
      rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
    },
  };
}

/**
 * Loads an extension from its source folder, and a test suite with it: edits the workbench's configuration before its
 * scripts run. Needs no server flag, and works on any VS Code web server.
 */
export async function injectDevelopment(
  page: Page,
  server: CodeServer,
  paths: { readonly extensions: readonly string[]; readonly tests: string },
): Promise<void> {
  const uri = (path: string) => ({ $mid: 1, scheme: "vscode-remote", authority: server.authority, path });
  const development = { extensions: paths.extensions.map(uri), extensionTestsPath: uri(paths.tests) };
  await page.addInitScript({
    content: `(${editConfiguration.toString()})(${JSON.stringify(development)})`,
  });
}

/** Runs in the page. */
function editConfiguration(development: object): void {
  // This file is compiled without the DOM's types, which would let test code use the browser's globals by mistake.
  const page = globalThis as unknown as {
    window: { top: unknown };
    document: {
      getElementById(
        id: string,
      ): { getAttribute(name: string): string; setAttribute(name: string, value: string): void } | null;
    };
    MutationObserver: new (
      seen: (records: unknown, observer: { disconnect(): void }) => void,
    ) => { observe(node: unknown, options: object): void };
  };
  if (page.window !== page.window.top) return;
  const observer = new page.MutationObserver((_records, self) => {
    const element = page.document.getElementById("vscode-workbench-web-configuration");
    if (element === null) return;
    self.disconnect();
    const settings = JSON.parse(element.getAttribute("data-settings"));
    settings.developmentOptions = { ...settings.developmentOptions, ...development };
    element.setAttribute("data-settings", JSON.stringify(settings));
  });
  observer.observe(page.document, { childList: true, subtree: true });
}

export async function screenshot(page: Page, name: string): Promise<void> {
  const folder = join(ARTIFACTS, "screenshots");
  mkdirSync(folder, { recursive: true });
  // Notifications and menus slide in.
  await page.waitForTimeout(500);
  await page.screenshot({ path: join(folder, `${name}.png`) });
}
