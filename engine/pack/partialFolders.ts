// Folders in the making beside finished ones: their names say which process makes them, so that what a dead one left is swept
// and nobody takes half a folder for a whole one.
import { mkdir, open, readdir, readFile, rm, stat } from "node:fs/promises";
import { uptime } from "node:os";
import { dirname, join, resolve } from "node:path";
import { EngineError, errnoOf } from "../errors.ts";

const PARTIAL = /\.partial-(\d+)$/;

/** Where `folder` is made before it gets its name. */
export function partialOf(folder: string): string {
  return `${folder}.partial-${process.pid}`;
}

export function isPartial(name: string): boolean {
  return PARTIAL.test(name);
}

/** Where what a pack is made of lies until it is made: beside the packs, on the same disk. */
export function downloadFolder(packsDir: string, id: string): string {
  return join(dirname(resolve(packsDir)), "downloads", id);
}

/** Removes what processes left in `parent` that ended before they were done; also what the live process `pid` left, if given. */
export async function sweepPartials(parent: string, pid?: number): Promise<void> {
  for (const name of await namesIn(parent)) {
    const maker = Number(PARTIAL.exec(name)?.[1] ?? Number.NaN);
    if (Number.isNaN(maker) || (maker !== pid && isAlive(maker))) continue;
    await rm(join(parent, name), { recursive: true, force: true });
  }
}

/** Throws `DOWNLOAD_RUNNING` while another process holds `folder`; call what it gives when done. */
export async function holdFolder(folder: string): Promise<() => Promise<void>> {
  await mkdir(folder, { recursive: true });
  const file = join(folder, "lock");
  for (const isLast of [false, true]) {
    try {
      const handle = await open(file, "wx");
      await handle.writeFile(String(process.pid));
      await handle.close();
      return () => rm(file, { force: true });
    } catch (error) {
      if (errnoOf(error) !== "EEXIST") throw error;
      if (isLast || (await isHeld(file)))
        throw new EngineError("DOWNLOAD_RUNNING", `another process is filling ${folder}`, { cause: error });
      await rm(file, { force: true });
    }
  }
  throw new EngineError("DOWNLOAD_RUNNING", `another process is filling ${folder}`);
}

async function isHeld(file: string): Promise<boolean> {
  try {
    const pid = Number(await readFile(file, "utf8"));
    // Process numbers begin anew with the system.
    const isOfThisRun = (await stat(file)).mtimeMs > Date.now() - uptime() * 1000;
    return isOfThisRun && pid > 0 && isAlive(pid);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return errnoOf(error) === "EPERM";
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw error;
  }
}
