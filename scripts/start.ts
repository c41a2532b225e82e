// `npm start [-- DIR] [--no-editor]`: builds, prints a completion in each mode, then opens an editor with Precis in it:
// the `code` on the PATH if there is one, or else code-server on 127.0.0.1.
import { cpSync, existsSync, rmSync, statSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { createProfile, installCodeServer, installExtension, pageUrl, startCodeServer } from "./codeServer.ts";
import { type Place, placeInFolder, placeInSample, printCompletions } from "./completions.ts";
import { packageExtension } from "./package.ts";
import { CACHE, findProgram, ROOT, run, runMain, step } from "./run.ts";

/** Of our own code-server only; a `code` on the PATH keeps its owner's settings. */
const SETTINGS = {
  "workbench.startupEditor": "none",
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "chat.disableAIFeatures": true,
  "telemetry.telemetryLevel": "off",
  "extensions.autoCheckUpdates": false,
  "update.mode": "none",
};

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { "no-editor": { type: "boolean", default: process.env["PRECIS_NO_EDITOR"] === "1" } },
  });
  const folder = positionals[0] === undefined ? freshSample() : ownFolder(positionals[0]);
  const place = positionals[0] === undefined ? placeInSample(folder) : placeInFolder(folder);

  const vsix = await packageExtension();
  step("One completion in each mode");
  if (place === undefined) console.log(`${folder} holds no Python function to complete in.`);
  else await printCompletions(folder, place);
  if (values["no-editor"]) return;

  const code = findProgram("code");
  if (code === undefined) await openCodeServer(vsix, folder, place);
  else await openCode(code, vsix, folder, place);
}

/** A copy, made anew each time, so that trying things out leaves the checkout as it is; outside it, where no .gitignore hides it. */
function freshSample(): string {
  const copy = join(tmpdir(), `precis-sample-${userInfo().username}`, "parcels");
  rmSync(copy, { recursive: true, force: true });
  cpSync(join(ROOT, "samples/parcels"), copy, { recursive: true });
  return copy;
}

function ownFolder(path: string): string {
  // npm runs scripts in the package's folder; the person meant the folder they were in.
  const folder = resolve(process.env["INIT_CWD"] ?? process.cwd(), path);
  if (!existsSync(folder) || !statSync(folder).isDirectory()) throw new Error(`${folder} is not a folder.`);
  return folder;
}

async function openCode(code: string, vsix: string, folder: string, place: Place | undefined): Promise<void> {
  step(`Opening VS Code (${code})`);
  const shell = process.platform === "win32";
  await run(code, ["--install-extension", vsix, "--force"], { shell });
  const file = place === undefined ? [] : ["--goto", `${place.file}:${place.line}:${place.column}`];
  await run(code, [folder, ...file], { shell });
  console.log(tryIt(place));
}

async function openCodeServer(vsix: string, folder: string, place: Place | undefined): Promise<void> {
  const entry = await installCodeServer();
  step("Starting code-server");
  const profile = createProfile(join(CACHE, "editor"), SETTINGS);
  await installExtension(entry, profile, vsix);
  const server = await startCodeServer(entry, profile, folder);
  const file = place === undefined ? undefined : `${place.file}:${place.line}:${place.column}`;
  console.log(`VS Code with Precis:\n\n    ${pageUrl(server, folder, file)}\n\n${tryIt(place)}\nCtrl-C ends it.`);
  await new Promise<void>((done) => {
    process.once("SIGINT", done);
    process.once("SIGTERM", done);
    server.process.once("exit", () => done());
  });
  await server.stop();
}

function tryIt(place: Place | undefined): string {
  if (place === undefined) return "Open a Python file and type; grey text is a completion, Tab takes it.";
  return `Wait for “Precis: ready” at the bottom right, then type at line ${place.line}; grey text is a completion, Tab takes it.`;
}

await runMain(main);
