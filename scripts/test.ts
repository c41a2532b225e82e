// `npm test [-- SUITE…]`: sets up what the tests need, runs every suite (or the named ones), and ends with the totals.
// Suites: style, types, engine (unit, contract, process), host (inside VS Code), browser (the package in a browser).
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { runInHost } from "../test/vscode/runInHost.ts";
import { ChromiumMissing, ensureChromium } from "./chromium.ts";
import { installCodeServer } from "./codeServer.ts";
import { packageExtension } from "./package.ts";
import { ARTIFACTS, ROOT, run, runForStatus, step } from "./run.ts";

interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

type Suite = () => Promise<Totals>;

const PASSED: Totals = { passed: 1, failed: 0, skipped: 0 };
const FAILED: Totals = { passed: 0, failed: 1, skipped: 0 };

/** In the order in which they run: the quick ones first. */
const SUITES: Readonly<Record<string, Suite>> = {
  types: () => program("node_modules/typescript/bin/tsc", "--noEmit"),
  style: () => program("node_modules/@biomejs/biome/bin/biome", "check", "."),
  engine: async () => {
    // It brings the one WebGPU adapter that a machine without a GPU can have; without it that test says it did not run.
    await ensureChromium().catch((error: unknown) => {
      if (!(error instanceof ChromiumMissing)) throw error;
      console.error(error.message);
    });
    await run(process.execPath, ["esbuild.config.mjs"]);
    return vitest("engine");
  },
  host: async () => {
    await run(process.execPath, ["esbuild.config.mjs"]);
    const rows = await runInHost();
    const count = (state: string) => rows.filter((row) => row.state === state).length;
    for (const row of rows) if (row.state === "failed") console.error(`✗ ${row.title}\n  ${row.error ?? ""}`);
    return { passed: count("passed"), failed: count("failed"), skipped: count("pending") };
  },
  browser: async () => {
    await ensureChromium();
    await installCodeServer();
    await packageExtension();
    return vitest("browser", "--config", "test/browser/vitest.config.ts");
  },
};

async function program(script: string, ...args: string[]): Promise<Totals> {
  return (await runForStatus(process.execPath, [join(ROOT, script), ...args])) === 0 ? PASSED : FAILED;
}

async function vitest(name: string, ...args: string[]): Promise<Totals> {
  mkdirSync(ARTIFACTS, { recursive: true });
  const report = join(ARTIFACTS, `${name}.json`);
  rmSync(report, { force: true });
  const cli = join(ROOT, "node_modules/vitest/vitest.mjs");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const status = await runForStatus(process.execPath, [cli, "run", ...args, ...reporters]);
  const counts = JSON.parse(readFileSync(report, "utf8")) as {
    numPassedTests: number;
    numFailedTests: number;
    numPendingTests: number;
    numTodoTests: number;
  };
  const failed = counts.numFailedTests;
  return {
    passed: counts.numPassedTests,
    // A file that cannot be loaded, or an error outside a test, fails no test but fails the run.
    failed: status !== 0 && failed === 0 ? 1 : failed,
    skipped: counts.numPendingTests + counts.numTodoTests,
  };
}

async function runSuite(name: string, suite: Suite): Promise<Totals> {
  step(`Tests: ${name}`);
  try {
    return await suite();
  } catch (error) {
    console.error(`✗ ${name}: ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`);
    return FAILED;
  }
}

const chosen = process.argv.slice(2);
const unknown = chosen.filter((name) => !Object.hasOwn(SUITES, name));
if (unknown.length > 0) {
  console.error(`No suite is called ${unknown.join(", ")}; there are ${Object.keys(SUITES).join(", ")}.`);
  process.exit(2);
}

const lines: string[] = [];
let passed = 0;
let failed = 0;
for (const [name, suite] of Object.entries(SUITES)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue;
  const startedAt = performance.now();
  const totals = await runSuite(name, suite);
  passed += totals.passed;
  failed += totals.failed;
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(0);
  const skipped = totals.skipped > 0 ? `, ${totals.skipped} skipped` : "";
  lines.push(`  ${name.padEnd(8)} ${totals.passed} passed, ${totals.failed} failed${skipped} (${seconds} s)`);
}
console.log(`\n${lines.join("\n")}\n${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
