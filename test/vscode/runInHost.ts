// Runs the in-host suite: bundles it, finds a VS Code, hands both to @vscode/test-electron.
// VS Code is VSCODE_EXE, or a downloaded one where there is a screen and the internet, or else code-server behind the shim.
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { download, runTests } from "@vscode/test-electron";
import { build } from "esbuild";
import { ARTIFACTS, CACHE, ROOT } from "../../scripts/run.ts";
import { copyOfSample } from "../browser/harness.ts";

export interface HostResult {
  readonly title: string;
  readonly state: "passed" | "failed" | "pending";
  readonly error?: string;
}

/** Newest VS Code whose behaviour the tests were written against. */
const VERSION = "stable";

export async function runInHost(): Promise<readonly HostResult[]> {
  const folder = join(CACHE, "inHost");
  mkdirSync(folder, { recursive: true });
  const suite = join(folder, "suite.cjs");
  await build({
    entryPoints: [join(ROOT, "test/vscode/index.ts")],
    outfile: suite,
    bundle: true,
    platform: "node",
    format: "cjs",
    external: ["vscode", "mocha"],
    sourcemap: "inline",
    logLevel: "warning",
  });
  mkdirSync(ARTIFACTS, { recursive: true });
  const results = join(ARTIFACTS, "inHost.jsonl");
  rmSync(results, { force: true });
  const workspace = copyOfSample();
  let failure: unknown;
  try {
    await runTests({
      vscodeExecutablePath: await findEditor(folder),
      extensionDevelopmentPath: ROOT,
      extensionTestsPath: suite,
      extensionTestsEnv: { PRECIS_RESULTS: results },
      launchArgs: [workspace, "--disable-extensions"],
    });
  } catch (error) {
    // Which tests failed is in the results; a run that left none did not get as far as the tests.
    failure = error;
  } finally {
    rmSync(workspace, { recursive: true, force: true });
  }
  if (!existsSync(results)) throw new Error("no test ran in the extension host", { cause: failure });
  const lines = readFileSync(results, "utf8").trim().split("\n");
  const rows = lines.map((line) => JSON.parse(line) as HostResult);
  if (failure !== undefined && rows.every((row) => row.state !== "failed")) {
    return [...rows, { title: "the extension host ends well", state: "failed", error: String(failure) }];
  }
  return rows;
}

async function findEditor(folder: string): Promise<string> {
  const named = process.env["VSCODE_EXE"];
  if (named !== undefined && named !== "") return named;
  const hasScreen =
    process.platform !== "linux" || (process.env["DISPLAY"] ?? process.env["WAYLAND_DISPLAY"] ?? "") !== "";
  if (hasScreen) {
    try {
      return await download({ version: VERSION, cachePath: join(CACHE, "vscode") });
    } catch (error) {
      process.stderr.write(`VS Code could not be downloaded (${String(error)}); using code-server.\n`);
    }
  }
  return writeShim(folder);
}

/** The shim is TypeScript and needs our Node, while test-electron wants one executable file. */
function writeShim(folder: string): string {
  const path = join(folder, "code");
  writeFileSync(path, `#!/bin/sh\nexec "${process.execPath}" "${join(ROOT, "test/vscode/codeShim.ts")}" "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}
