// The three modes as the editor names them. No editor here, so that tests can read it.
import type { EngineStatus } from "../engine/protocol.ts";

export type Mode = EngineStatus["mode"];

export const MODE_TITLES: Readonly<Record<Mode, string>> = {
  full: "Full RAG",
  compressed: "Compressed",
  none: "Off (current file only)",
};

export function isMode(value: unknown): value is Mode {
  return typeof value === "string" && Object.hasOwn(MODE_TITLES, value);
}
