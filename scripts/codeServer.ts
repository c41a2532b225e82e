// code-server: VS Code itself behind a local web address, from npm, for machines without a VS Code.
// Installed without running any install script, so it needs no compiler; its two small native modules are replaced.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, cpSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CACHE, capture, npm, step } from "./run.ts";

const VERSION = "4.139.1";
const HOST = "127.0.0.1";
const STAND_INS = join(import.meta.dirname, "standIns");
const START_TIMEOUT_MS = 120_000;

export interface Profile {
  /** Keep the path short: code-server makes a socket in it. */
  readonly userData: string;
  readonly extensions: string;
  readonly home: string;
  readonly log: string;
}

export interface CodeServer {
  readonly url: string;
  readonly authority: string;
  readonly process: ChildProcess;
  stop(): Promise<void>;
}

/** The entry script, installed on first use (about 600 MB, some 20 s). */
export async function installCodeServer(): Promise<string> {
  const folder = join(CACHE, "code-server", VERSION);
  const server = join(folder, "node_modules/code-server");
  const entry = join(server, "out/node/entry.js");
  const done = join(folder, "installed");
  if (existsSync(done)) return entry;
  step(`Installing code-server ${VERSION} (VS Code in a browser) into .precis/`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
  await npm(["install", "--ignore-scripts", `code-server@${VERSION}`], folder);
  await npm(["install", "--omit=dev", "--ignore-scripts"], join(server, "lib/vscode"));
  await npm(["install", "--omit=dev", "--ignore-scripts"], join(server, "lib/vscode/extensions"));
  const modules = join(server, "lib/vscode/node_modules");
  cpSync(join(STAND_INS, "spdlog.cjs"), join(modules, "@vscode/spdlog/index.js"));
  cpSync(join(STAND_INS, "watchdog.cjs"), join(modules, "@vscode/native-watchdog/index.js"));
  writeFileSync(done, "");
  return entry;
}

/** `ofMachine`: settings that belong to the machine, which VS Code takes from no other file. */
export function createProfile(
  folder: string,
  settings: Readonly<Record<string, unknown>>,
  ofMachine: Readonly<Record<string, unknown>> = {},
): Profile {
  const profile = {
    userData: join(folder, "user"),
    extensions: join(folder, "ext"),
    home: join(folder, "home"),
    log: join(folder, "server.log"),
  };
  for (const path of [
    ...["User", "Machine"].map((name) => join(profile.userData, name)),
    profile.extensions,
    profile.home,
  ])
    mkdirSync(path, { recursive: true });
  writeFileSync(join(folder, "config.yaml"), "auth: none\n");
  for (const [name, own] of [
    ["User", settings],
    ["Machine", ofMachine],
  ] as const) {
    const settingsFile = join(profile.userData, name, "settings.json");
    if (!existsSync(settingsFile)) writeFileSync(settingsFile, `${JSON.stringify(own, null, 2)}\n`);
  }
  return profile;
}

export async function installExtension(entry: string, profile: Profile, vsix: string): Promise<void> {
  await capture(process.execPath, [...profileArguments(entry, profile), "--install-extension", vsix, "--force"], {
    env: serverEnvironment(profile),
  });
}

export async function startCodeServer(entry: string, profile: Profile, folder: string): Promise<CodeServer> {
  const port = await freePort();
  const log = openSync(profile.log, "w");
  const child = spawn(
    process.execPath,
    [
      ...profileArguments(entry, profile),
      ...["--auth", "none", "--bind-addr", `${HOST}:${port}`, "--disable-telemetry", "--disable-update-check"],
      ...["--disable-workspace-trust", "--disable-getting-started-override", "--ignore-last-opened", folder],
    ],
    // Its own process group, so that all it starts can be ended with it.
    { env: serverEnvironment(profile), stdio: ["ignore", log, log], detached: true },
  );
  closeSync(log);
  const url = `http://${HOST}:${port}`;
  const server = { url, authority: `${HOST}:${port}`, process: child, stop: () => stopGroup(child) };
  const giveUpAt = Date.now() + START_TIMEOUT_MS;
  while (!(await isHealthy(url))) {
    if (child.exitCode !== null || Date.now() > giveUpAt) {
      await server.stop();
      throw new Error(`code-server did not start:\n${readFileSync(profile.log, "utf8")}`);
    }
    await sleep(100);
  }
  return server;
}

/** The address that opens a folder, and one file of it at a position (`path:line:column`). */
export function pageUrl(server: CodeServer, folder: string, file?: string): string {
  const address = `${server.url}/?folder=${encodeURI(folder)}`;
  if (file === undefined) return address;
  const payload = [
    ["gotoLineMode", "true"],
    ["openFile", `vscode-remote://${server.authority}${file}`],
  ];
  return `${address}&payload=${encodeURIComponent(JSON.stringify(payload))}`;
}

function profileArguments(entry: string, profile: Profile): string[] {
  const config = join(profile.userData, "../config.yaml");
  return [entry, "--config", config, "--user-data-dir", profile.userData, "--extensions-dir", profile.extensions];
}

/** A home of its own: code-server writes configuration there at every call. No gallery, so nothing is asked of the network. */
function serverEnvironment(profile: Profile): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    HOME: profile.home,
    XDG_CONFIG_HOME: join(profile.home, ".config"),
    XDG_DATA_HOME: join(profile.home, ".local/share"),
    XDG_CACHE_HOME: join(profile.home, ".cache"),
    EXTENSIONS_GALLERY: '{"serviceUrl":"","itemUrl":"","resourceUrlTemplate":""}',
  };
  for (const name of ["NODE_OPTIONS", "VSCODE_IPC_HOOK_CLI", "PORT", "VITEST", "NODE_ENV"]) delete env[name];
  return env;
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/healthz`)).ok;
  } catch {
    return false;
  }
}

async function stopGroup(child: ChildProcess): Promise<void> {
  if (child.pid === undefined) return;
  const gone = new Promise<void>((done) => {
    if (child.exitCode === null && child.signalCode === null) child.once("exit", () => done());
    else done();
  });
  signalGroup(child.pid, "SIGTERM");
  await Promise.race([gone, sleep(3000)]);
  signalGroup(child.pid, "SIGKILL");
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // Nobody is left in the group, which is what was wanted.
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

function freePort(): Promise<number> {
  return new Promise((done, reject) => {
    const probe = createServer();
    probe.on("error", reject);
    probe.listen(0, HOST, () => {
      const address = probe.address();
      probe.close(() => {
        if (address !== null && typeof address === "object") done(address.port);
        else reject(new Error("no free port"));
      });
    });
  });
}
