// A Chromium for the browser tests: the one named by PRECIS_CHROMIUM or CHROMIUM, one on the PATH, or one installed by apt.
import { existsSync } from "node:fs";
import { findProgram, isExecutable, ProgramFailed, run, runForStatus, step } from "./run.ts";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const HOW = "Install Chromium or Google Chrome, or set PRECIS_CHROMIUM to the path of one.";

export class ChromiumMissing extends Error {
  override readonly name = "ChromiumMissing";
}

/** The path of a Chromium that is there now. */
export function findChromium(): string | undefined {
  const named = process.env["PRECIS_CHROMIUM"] ?? process.env["CHROMIUM"];
  if (named !== undefined && named !== "") {
    if (!isExecutable(named)) throw new ChromiumMissing(`${named} cannot be run. ${HOW}`);
    return named;
  }
  const macChrome = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";
  return findProgram(...NAMES) ?? (existsSync(macChrome) ? macChrome : undefined);
}

export async function ensureChromium(): Promise<string> {
  const found = findChromium();
  if (found !== undefined) return found;
  const apt = findProgram("apt-get");
  if (apt === undefined) throw new ChromiumMissing(`No Chromium was found and there is no apt-get here. ${HOW}`);
  const asRoot = await rootPrefix();
  if (asRoot === undefined) throw new ChromiumMissing(`No Chromium was found, and apt-get needs root. ${HOW}`);
  step("Installing Chromium (apt-get install chromium)");
  try {
    await aptGet(asRoot, apt, ["update", "-q"]);
    await aptGet(asRoot, apt, ["install", "-y", "-q", "--no-install-recommends", "chromium", "fonts-dejavu-core"]);
  } catch (error) {
    if (error instanceof ProgramFailed) throw new ChromiumMissing(`apt-get could not install Chromium. ${HOW}`);
    throw error;
  }
  const installed = findChromium();
  if (installed === undefined) throw new ChromiumMissing(`apt-get installed no program named ${NAMES[0]}. ${HOW}`);
  return installed;
}

/** What to put before a command to run it as root; undefined when that is not possible without a password. */
async function rootPrefix(): Promise<readonly string[] | undefined> {
  if (process.getuid?.() === 0) return [];
  const sudo = findProgram("sudo");
  if (sudo === undefined) return undefined;
  return (await runForStatus(sudo, ["-n", "true"], { stdio: "ignore" })) === 0 ? [sudo, "-n"] : undefined;
}

async function aptGet(asRoot: readonly string[], apt: string, args: readonly string[]): Promise<void> {
  const [command = apt, ...rest] = [...asRoot, "env", "DEBIAN_FRONTEND=noninteractive", apt, ...args];
  await run(command, rest, { stdio: ["ignore", "ignore", "inherit"] });
}
