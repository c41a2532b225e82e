// Where else packs lie: each editor keeps those it was asked for in a folder of its own, and notes that folder among this
// person's data, so that the command line finds them too.
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { errnoOf } from "./errors.ts";
import { exists } from "./exists.ts";
import { preparedPacksDir } from "./pack/pack.ts";

/** A JSON array of absolute paths. */
function noteFile(ownDir: string): string {
  return join(dirname(ownDir), "folders.json");
}

/** Notes a folder with packs; one that has gone since is forgotten. `ownDir`: the command line's own, which needs no note. */
export async function notePackFolder(dir: string, ownDir: string = preparedPacksDir()): Promise<void> {
  const folder = resolve(dir);
  const noted = await readNotes(ownDir);
  if (folder === resolve(ownDir) || noted.includes(folder) || !(await exists(folder))) return;
  const file = noteFile(ownDir);
  await mkdir(dirname(file), { recursive: true });
  const partial = `${file}.${process.pid}`;
  await writeFile(partial, `${JSON.stringify([...(await present(noted)), folder], null, 2)}\n`);
  await rename(partial, file);
}

/** The folders that were noted and are there. */
export async function notedPackFolders(ownDir: string = preparedPacksDir()): Promise<string[]> {
  return present(await readNotes(ownDir));
}

/** Anything but a list of paths is taken for none: each editor notes its folder again when it starts. */
async function readNotes(ownDir: string): Promise<string[]> {
  let text: string;
  try {
    text = await readFile(noteFile(ownDir), "utf8");
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return [];
  }
  try {
    const noted: unknown = JSON.parse(text);
    return Array.isArray(noted) ? noted.filter((each): each is string => typeof each === "string") : [];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

async function present(folders: readonly string[]): Promise<string[]> {
  const found = await Promise.all(folders.map((folder) => exists(folder).catch(() => false)));
  return folders.filter((_, n) => found[n]);
}
