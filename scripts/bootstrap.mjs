// Runs one of the scripts beside it, from a clean clone, on any Node from 20: brings the dependencies, among them the
// Node that Precis is developed with, and hands over to that. Imports nothing that is not in Node itself.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const WINDOWS = process.platform === "win32";
const NODE = join(ROOT, "node_modules/node/bin", WINDOWS ? "node.exe" : "node");

/** Every package of the lock file is there in the same version; what is optional may be for another platform. */
function isInstalled() {
  const installedFile = join(ROOT, "node_modules/.package-lock.json");
  if (!existsSync(installedFile) || !existsSync(NODE)) return false;
  const wanted = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")).packages;
  const installed = JSON.parse(readFileSync(installedFile, "utf8")).packages;
  return Object.entries(wanted).every(
    ([path, entry]) => path === "" || entry.optional || installed[path]?.version === entry.version,
  );
}

function install() {
  console.log("› Installing dependencies (npm ci)");
  // Where npm started us it says where it is; on Windows a bare `npm` is a script that only a shell can run.
  const npm = process.env.npm_execpath;
  const [command, before] = npm?.endsWith(".js") ? [process.execPath, [npm]] : ["npm", []];
  const result = spawnSync(command, [...before, "ci", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: ROOT,
    stdio: "inherit",
    shell: WINDOWS && command === "npm",
  });
  if (result.status !== 0) fail("npm ci failed; its messages are above.");
  if (!existsSync(NODE)) {
    fail(
      "npm ci did not bring Node 24 (node_modules/node). Does your npm have ignore-scripts set? It must be off here.",
    );
  }
}

function fail(message) {
  console.error(`✗ ${message}`);
  process.exit(1);
}

if (Number(process.versions.node.split(".")[0]) < 20) fail(`Node 20 or newer is needed; this is ${process.version}.`);
const [script, ...rest] = process.argv.slice(2);
if (!isInstalled()) install();

const child = spawn(NODE, [join(ROOT, "scripts", `${script}.ts`), ...rest], { cwd: ROOT, stdio: "inherit" });
// A Ctrl-C in the terminal reaches the child by itself; we only must not leave before it.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => child.kill("SIGTERM"));
child.on("exit", (code, signal) => process.exit(code ?? (signal === null ? 1 : 130)));
