// A process's memory as the system counts it.
import { readFile } from "node:fs/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** MiB. Where the system does not tell them apart only `total` is a number. */
export interface ResidentMemory {
  readonly total: number;
  /** The process's own. */
  readonly anonymous: number | null;
  /** Mapped from files: shared with other processes, and given up when memory is short. */
  readonly file: number | null;
  /** The most it ever was. */
  readonly peak: number | null;
}

export async function residentMemory(): Promise<ResidentMemory> {
  const total = process.memoryUsage.rss() / 2 ** 20;
  if (process.platform !== "linux") return { total, anonymous: null, file: null, peak: null };
  const status = await readFile("/proc/self/status", "utf8");
  const field = (name: string) => {
    const kilobytes = new RegExp(`^${name}:\\s*(\\d+) kB`, "m").exec(status)?.[1];
    return kilobytes === undefined ? null : Number(kilobytes) / 1024;
  };
  return { total, anonymous: field("RssAnon"), file: field("RssFile"), peak: field("VmHWM") };
}

/** MiB of buffers that JavaScript still holds; garbage is collected first. */
export function heldBuffers(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().arrayBuffers / 2 ** 20;
}
