// Battery or mains, and whether background indexing waits for it. The only importer of systeminformation.
import type { Settings } from "./config.ts";
import type { IndexingPause } from "./protocol.ts";

/** What a machine runs on. */
export interface Power {
  readonly isOnBattery: boolean;
  /** Charge, 0–100; 100 without a battery. */
  readonly percent: number;
}

export type ReadPower = () => Promise<Power>;

export interface PowerSource {
  readonly read: ReadPower;
  /** How long an answer serves, and how often it is asked for where something depends on it, in milliseconds. */
  readonly everyMs: number;
}

/** Below this charge, in percent, “pauseWhenLow” pauses. Systems dim the screen and warn at 20. */
export const LOW_PERCENT = 30;

/** One call starts a process on Windows and macOS, so it is asked once a minute. */
export const SYSTEM_POWER: PowerSource = { read: readPower, everyMs: 60_000 };

/** Asks the system. A machine that does not tell counts as plugged in: nothing may wait for ever. */
export async function readPower(): Promise<Power> {
  const { default: battery } = await import("systeminformation/lib/battery.js");
  const { hasBattery, acConnected, isCharging, percent } = await battery();
  if (!hasBattery || typeof percent !== "number") return { isOnBattery: false, percent: 100 };
  return { isOnBattery: !acConnected && !isCharging, percent };
}

/** Asks again only when the last answer is older than `everyMs`. `now` in milliseconds. */
export function remembered({ read, everyMs }: PowerSource, now: () => number = () => performance.now()): ReadPower {
  let last: { readonly at: number; readonly power: Promise<Power> } | undefined;
  return () => {
    if (last === undefined || now() - last.at >= everyMs) last = { at: now(), power: read() };
    return last.power;
  };
}

/** Why no pass over the disk may begin by itself; undefined when it may. */
export function pauseFor(
  { isOnBattery, percent }: Power,
  setting: Settings["index.onBattery"],
): IndexingPause | undefined {
  if (!isOnBattery || setting === "run") return undefined;
  if (setting === "pauseWhenLow" && percent >= LOW_PERCENT) return undefined;
  return { reason: "battery", percent: Math.round(percent) };
}
