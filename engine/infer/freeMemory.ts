// Memory that is free now: the machine's, and that of graphics cards whose driver tells it.
import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { totalmem } from "node:os";
import { join } from "node:path";

/** Bytes. */
export interface FreeMemory {
  readonly name: string;
  readonly free: number;
  readonly total: number;
  /** Version of a card's driver, where it tells. */
  readonly driver?: string;
}

/** How memory is looked at; tests look elsewhere. */
export interface MemorySource {
  machine(): FreeMemory;
  /** Those that tell; none where there is no card, or its driver is silent. */
  cards(): Promise<readonly FreeMemory[]>;
}

export const SYSTEM_MEMORY: MemorySource = { machine: machineMemory, cards: () => cardMemory() };

/** What this process may still take: of the container it runs in, else of the machine. */
export function machineMemory(): FreeMemory {
  const limit = process.constrainedMemory();
  const isContained = limit > 0 && limit < totalmem();
  const total = isContained ? limit : totalmem();
  // What macOS calls free leaves out all that it would give at once.
  const free = process.platform === "darwin" && !isContained ? total : process.availableMemory();
  return { name: isContained ? "this container" : "this machine", free: Math.min(free, total), total };
}

/** NVIDIA's cards by the tool its driver brings, AMD's by what Linux tells of them. */
export async function cardMemory(sysfs = "/sys/class/drm"): Promise<FreeMemory[]> {
  return [...(await nvidiaCards()), ...(await amdCards(sysfs))];
}

const PATIENCE_MS = 5_000;
const MIB = 2 ** 20;

function nvidiaCards(): Promise<FreeMemory[]> {
  const args = ["--query-gpu=memory.free,memory.total,driver_version,name", "--format=csv,noheader,nounits"];
  return new Promise((resolve) => {
    execFile("nvidia-smi", args, { timeout: PATIENCE_MS, windowsHide: true }, (error, stdout) => {
      resolve(error === null ? stdout.split("\n").flatMap(nvidiaCard) : []);
    });
  });
}

function nvidiaCard(line: string): FreeMemory[] {
  const [, free, total, driver = "", name] = /^\s*(\d+), (\d+), ([^,]+), (.+?)\s*$/.exec(line) ?? [];
  // A card that shares the machine's memory has “[N/A]” in place of numbers.
  return name === undefined ? [] : [{ name, free: Number(free) * MIB, total: Number(total) * MIB, driver }];
}

async function amdCards(sysfs: string): Promise<FreeMemory[]> {
  const names = await readdir(sysfs).catch(() => []);
  const cards: FreeMemory[] = [];
  for (const name of names.filter((each) => /^card\d+$/.test(each)).sort()) {
    const read = async (what: string) =>
      Number(await readFile(join(sysfs, name, "device", `mem_info_vram_${what}`), "utf8").catch(() => "none"));
    const total = await read("total");
    const free = total - (await read("used"));
    if (Number.isFinite(free)) cards.push({ name: `the AMD card ${name}`, free, total });
  }
  return cards;
}

/** For a person: `1.5 GB`, `340 MB`. */
export function sizeText(bytes: number): string {
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
