// Running other programs: where things are, which Node and npm, and what happens when a program fails.
import { type SpawnOptions, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, dirname, join, resolve } from "node:path";

export const ROOT = resolve(import.meta.dirname, "..");
/** Git-ignored: editors, profiles and test bundles that can be made again. */
export const CACHE = join(ROOT, ".precis");
export const ARTIFACTS = join(ROOT, "artifacts");

/** A program ended badly; its own output has said why. */
export class ProgramFailed extends Error {
  override readonly name = "ProgramFailed";
}

/** What a person can do something about is told in a line, without a stack. */
export async function runMain(main: () => Promise<unknown>): Promise<void> {
  try {
    await main();
  } catch (error) {
    console.error(`✗ ${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  }
}

export function step(title: string): void {
  console.log(`\n› ${title}`);
}

/** Runs a program with its output on ours; resolves with its exit status. */
export function runForStatus(command: string, args: readonly string[], options: SpawnOptions = {}): Promise<number> {
  return new Promise((done, reject) => {
    const child = spawn(command, args, { cwd: ROOT, stdio: "inherit", ...options });
    child.on("error", reject);
    child.on("exit", (code) => done(code ?? 1));
  });
}

export async function run(command: string, args: readonly string[], options: SpawnOptions = {}): Promise<void> {
  const status = await runForStatus(command, args, options);
  if (status !== 0) throw new ProgramFailed(`${command} ${args[0] ?? ""} ended with status ${status}`);
}

/** Runs a program quietly; resolves with its standard output, and shows its errors only when it fails. */
export function capture(command: string, args: readonly string[], options: SpawnOptions = {}): Promise<string> {
  return new Promise((done, reject) => {
    const child = spawn(command, args, { cwd: ROOT, ...options, stdio: ["ignore", "pipe", "pipe"] });
    let out = "";
    let errors = "";
    child.stdout?.on("data", (text) => {
      out += text;
    });
    child.stderr?.on("data", (text) => {
      errors += text;
    });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) done(out);
      else reject(new ProgramFailed(`${command} ${args[0] ?? ""} ended with status ${code}\n${errors}${out}`));
    });
  });
}

/** npm, run by this Node, in a folder that is not this package. */
export async function npm(args: readonly string[], cwd: string): Promise<void> {
  const path = process.env["npm_execpath"];
  const [command, before] = path?.endsWith(".js") ? [process.execPath, [path]] : ["npm", []];
  await run(command, [...before, ...args, "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd,
    env: environmentForNpm(),
    shell: process.platform === "win32" && command === "npm",
  });
}

/** npm tells its scripts which package they belong to; an npm in another folder must not hear of it. */
function environmentForNpm(): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (!/^npm_(package|lifecycle|config_local_prefix|config_prefix)/.test(name)) env[name] = value;
  }
  env["PATH"] = `${dirname(process.execPath)}${delimiter}${process.env["PATH"] ?? ""}`;
  return env;
}

/** The first of these programs that is on the PATH. */
export function findProgram(...names: readonly string[]): string | undefined {
  const endings = process.platform === "win32" ? [".cmd", ".exe", ""] : [""];
  for (const name of names) {
    for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
      for (const ending of endings) {
        const path = join(folder, name + ending);
        if (isExecutable(path)) return path;
      }
    }
  }
  return undefined;
}

export function isExecutable(path: string): boolean {
  return hasAccess(path, constants.X_OK);
}

export function isReadable(path: string): boolean {
  return hasAccess(path, constants.R_OK);
}

function hasAccess(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    // Every reason not to have it counts the same.
    return false;
  }
}
