// The three modes as the editor names them. No editor here, so that tests can read it.
import type { EngineStatus } from "../engine/protocol.ts";

export type Mode = EngineStatus["mode"];
export type ModeChoice = EngineStatus["modeChoice"];

export const MODE_TITLES: Readonly<Record<Mode, string>> = {
  full: "Full RAG",
  compressed: "Compressed",
  none: "Off (current file only)",
};

/** Left to the pack. */
export const AUTOMATIC = "Automatic";

export function isModeChoice(value: unknown): value is ModeChoice {
  return value === "auto" || (typeof value === "string" && Object.hasOwn(MODE_TITLES, value));
}
