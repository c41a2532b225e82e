// Words for the engine's status, shared by the status bar, its tooltip and the menu. No editor here, so that tests can read it.
import type { EngineStatus, Execution, IndexingPause, LastCompletion, RemoteExecution } from "../engine/protocol.ts";
import { AUTOMATIC, MODE_TITLES } from "./mode.ts";

/** The status bar's text, with its icon. */
export function barText(status: EngineStatus): string {
  switch (status.state) {
    case "starting":
      return "$(loading~spin) Precis: starting";
    case "indexing":
      return `$(sync~spin) Precis: indexing ${Math.round(status.percent)} %`;
    case "ready":
      if (isReaderAway(status)) return "$(warning) Precis: the reader's server does not answer";
      return status.paused === null ? "$(sparkle) Precis: ready" : "$(debug-pause) Precis: ready, indexing paused";
    case "off":
      return "$(circle-slash) Precis: off";
    case "error":
      return "$(error) Precis: error";
  }
}

/** The server that reads and writes gave no answer, or none that was one. */
function isReaderAway({ execution }: EngineStatus): boolean {
  return (execution?.remote?.problem ?? null) !== null;
}

/** One line for a screen reader: the text without icons, and what is wrong. */
export function spokenText(status: EngineStatus): string {
  const text = barText(status).replace(/\$\([^)]*\) /, "");
  if (status.state === "error") return `${text}. ${status.message}`;
  if (status.state === "ready" && isReaderAway(status)) return `${text}. ${executionText(status.execution)}`;
  return status.state === "ready" && status.paused !== null ? `${text}. ${pauseText(status.paused)}` : text;
}

/** Why no indexing begins by itself. */
export function pauseText(pause: IndexingPause): string {
  switch (pause.reason) {
    case "battery":
      return `Indexing waits for mains power: the battery is at ${pause.percent} %`;
    case "cancelled":
      return "Indexing was cancelled, and waits until you ask for it";
  }
}

/** What a completion sees; where the pack cannot do what was chosen, why and what it sees instead. */
export function modeText({ mode, modeChoice, pack }: EngineStatus): string {
  if (modeChoice === "auto") return pack === null ? AUTOMATIC : `${AUTOMATIC}: ${MODE_TITLES[mode]}`;
  const fault = mode === "compressed" ? (pack?.compressedFault ?? null) : null;
  return fault === null ? MODE_TITLES[mode] : `${MODE_TITLES[mode]} is not there. ${fault}`;
}

export function lastText(last: LastCompletion | null): string {
  if (last === null) return "none yet";
  // A first token that took longer than the whole answer came for an earlier request, which this one goes on with.
  const first = last.ttftMs > last.totalMs ? "computed before" : `first token ${Math.round(last.ttftMs)} ms`;
  const time = `${Math.round(last.totalMs)} ms (${first}), ${MODE_TITLES[last.mode]}`;
  return last.reason === undefined ? time : `nothing offered: ${last.reason} (${time})`;
}

const PROVIDER_TITLES: Readonly<Record<string, string>> = {
  cpu: "CPU",
  cuda: "CUDA",
  webgpu: "WebGPU",
  directml: "DirectML",
  coreml: "Core ML",
};

/** As its makers write it. */
export function providerTitle(name: string): string {
  return PROVIDER_TITLES[name] ?? name;
}

/** Where the reader runs. */
export function executionText(execution: Execution | null): string {
  if (execution === null) return "not running";
  if (execution.remote !== undefined) return remoteText(execution.remote);
  const title = providerTitle(execution.provider);
  return execution.isLoaded ? title : `${title}; not in memory until the next request`;
}

function remoteText({ host, model, problem }: RemoteExecution): string {
  const where = model === null ? host : `${host} (${model})`;
  return problem === null ? where : `${where}; ${problem}`;
}

export function indexText(index: EngineStatus["index"]): string {
  const files = count(index.files, "file");
  const where = index.folders.length > 1 ? `${files} in ${index.folders.length} folders` : files;
  const size = `${where}, ${count(index.chunks, "chunk")}, ${megabytes(index.dbBytes)}`;
  return index.readOnly ? `${size}; another window writes it` : size;
}

function count(n: number, word: string): string {
  return `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

/** When the whole workspace was last gone through, as a time or, on another day, a date. */
export function indexedText(index: EngineStatus["index"], now: Date): string {
  const times = index.folders.map(({ indexedAt }) => indexedAt);
  const oldest = times.includes(null) ? null : Math.min(...times.map((time) => time ?? 0));
  if (oldest === null || times.length === 0) return index.readOnly ? "by another window" : "not yet";
  const at = new Date(oldest);
  const isToday = at.toDateString() === now.toDateString();
  return isToday
    ? at.toLocaleTimeString("en", { hour: "2-digit", minute: "2-digit", hour12: false })
    : at.toLocaleDateString("en", { day: "numeric", month: "long", year: "numeric" });
}
