// Stores of folders that nobody opens any more: an index is made again in minutes, and its disk space is the person's.
import { readdir, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf } from "./errors.ts";

/** A store not opened for so long is removed, in days. */
export const KEPT_DAYS = 60;

const DAY_MS = 86_400_000;

/** As `storeDirOf` names them; nothing else in the folder is touched. */
const STORE_NAME = /^[0-9a-f]{16}$/;

/** Notes that the store was opened: the folder's own time says when. */
export async function markUsed(storeDir: string, now = new Date()): Promise<void> {
  await ignoreMissing(utimes(storeDir, now, now));
}

/** The folders of all stores under `parent`. */
export async function storesIn(parent: string): Promise<string[]> {
  const names = (await ignoreMissing(readdir(parent))) ?? [];
  return names.filter((name) => STORE_NAME.test(name)).map((name) => join(parent, name));
}

/** Removes the stores under `parent` that were last opened more than `KEPT_DAYS` ago; their paths. */
export async function removeStaleStores(parent: string, now = Date.now()): Promise<string[]> {
  const removed: string[] = [];
  for (const dir of await storesIn(parent)) {
    const usedAt = (await ignoreMissing(stat(dir)))?.mtimeMs;
    if (usedAt === undefined || now - usedAt <= KEPT_DAYS * DAY_MS) continue;
    await ignoreMissing(rm(dir, { recursive: true, force: true }));
    removed.push(dir);
  }
  return removed;
}

/** What the disk refuses is left for another time. */
async function ignoreMissing<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return undefined;
  }
}
