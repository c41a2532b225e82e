// Stands in for the VS Code desktop program: takes the command line that @vscode/test-electron gives it, and runs the suite
// in code-server's extension host behind a headless Chromium. Exit status as the desktop's.
import { format, parseArgs } from "node:util";
import { pageUrl } from "../../scripts/codeServer.ts";
import { injectDevelopment, screenshot, startEditor } from "../browser/harness.ts";

const LIMIT_MS = 8 * 60_000;
/** Chatter of the workbench that says nothing about the tests. */
const NOISE =
  /^(%c|Creating a socket|Resolv|\[reconnection-grace|Updating additional|\[Service Worker|\[AgentHost|\[AccountPolicy|Timed out waiting for authentication provider|Ignoring fetching additional builtin|Creation of workbench contribution|Ignoring the error while validating|Error while fetching the extension under development)/;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    strict: false,
    allowPositionals: true,
    options: { extensionDevelopmentPath: { type: "string" }, extensionTestsPath: { type: "string" } },
  });
  const { extensionDevelopmentPath: extension, extensionTestsPath: tests } = values;
  const workspace = positionals[0];
  if (typeof extension !== "string" || typeof tests !== "string" || workspace === undefined) {
    throw new Error("usage: codeShim FOLDER --extensionDevelopmentPath=DIR --extensionTestsPath=FILE");
  }
  const editor = await startEditor({ workspace });
  try {
    const { page } = editor;
    await page.exposeFunction("codeAutomationLog", (type: string, args: unknown[]) => {
      const line = format(...args);
      if (!NOISE.test(line)) (type === "error" ? process.stderr : process.stdout).write(`${line}\n`);
    });
    const exit = new Promise<number>((done) => {
      void page.exposeFunction("codeAutomationExit", (code: number) => done(code));
      page.on("crash", () => done(4));
    });
    await injectDevelopment(page, editor.server, { extensions: [extension], tests });
    await page.goto(pageUrl(editor.server, workspace));
    const timeout = new Promise<number>((done) => setTimeout(done, LIMIT_MS, 124).unref());
    const code = await Promise.race([exit, timeout]);
    if (code === 124) {
      process.stderr.write(`no result after ${LIMIT_MS / 60_000} minutes\n`);
      await screenshot(page, "in-host-timeout");
    }
    return code;
  } finally {
    await editor.stop();
  }
}

process.exitCode = await main();
