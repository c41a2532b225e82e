// Words for the engine's status, shared by the status bar, its tooltip and the menu. No editor here, so that tests can read it.
import type { EngineStatus, LastCompletion } from "../engine/protocol.ts";
import { MODE_TITLES } from "./mode.ts";

/** The status bar's text, with its icon. */
export function barText(status: EngineStatus): string {
  switch (status.state) {
    case "starting":
      return "$(loading~spin) Precis: starting";
    case "indexing":
      return `$(sync~spin) Precis: indexing ${Math.round(status.percent)} %`;
    case "ready":
      return "$(sparkle) Precis: ready";
    case "off":
      return "$(circle-slash) Precis: off";
    case "error":
      return "$(error) Precis: error";
  }
}

/** One line for a screen reader: the text without icons, and what is wrong. */
export function spokenText(status: EngineStatus): string {
  const text = barText(status).replace(/\$\([^)]*\) /, "");
  return status.state === "error" ? `${text}. ${status.message}` : text;
}

export function lastText(last: LastCompletion | null): string {
  if (last === null) return "none yet";
  const time = `${Math.round(last.totalMs)} ms (first token ${Math.round(last.ttftMs)} ms), ${MODE_TITLES[last.mode]}`;
  return last.reason === undefined ? time : `nothing offered: ${last.reason} (${time})`;
}

export function indexText(index: EngineStatus["index"]): string {
  const size = `${count(index.files, "file")}, ${count(index.chunks, "chunk")}, ${megabytes(index.dbBytes)}`;
  return index.readOnly ? `${size}; another window writes it` : size;
}

function count(n: number, word: string): string {
  return `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}
