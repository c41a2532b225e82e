// What the settings panel's page and the extension say to each other. The page is untrusted input like any other: parsed here.
import type { EngineStatus } from "../engine/protocol.ts";
import type { LeftOut } from "./leftOut.ts";
import { isModeChoice, type ModeChoice } from "./mode.ts";

/** Extension → page: everything the page shows. */
export type PanelUpdate =
  | { readonly type: "state"; readonly state: PanelState }
  | { readonly type: "leftOut"; readonly leftOut: LeftOut };

export interface PanelState {
  readonly status: EngineStatus;
  /** Why indexing waits, in words; null while it does not. */
  readonly pauseText: string | null;
  /** When the workspace was last gone through, in words. */
  readonly indexedText: string;
  /** Where the reader runs, in words. */
  readonly executionText: string;
  /** What the index of a folder may take. */
  readonly diskLimitMiB: number;
  readonly enabled: boolean;
  readonly mode: ModeChoice;
  /** Where a change is written. */
  readonly target: "workspace" | "user";
}

export const PANEL_COMMANDS = {
  reindex: "precis.reindex",
  index: "precis.index",
  cancelIndexing: "precis.cancelIndexing",
  explain: "precis.explain",
  showLog: "precis.showLog",
  restart: "precis.restart",
  chooseModel: "precis.chooseModel",
} as const;

/** Page → extension. */
export type PanelMessage =
  | { readonly type: "ready" }
  | { readonly type: "setEnabled"; readonly enabled: boolean }
  | { readonly type: "setMode"; readonly mode: ModeChoice }
  /** All settings of ours, or those whose name begins so. */
  | { readonly type: "openSettings"; readonly setting: string }
  /** A path the index left out, in the editor's list of files. */
  | { readonly type: "reveal"; readonly root: string; readonly path: string }
  | { readonly type: "run"; readonly command: keyof typeof PANEL_COMMANDS };

export function parsePanelMessage(value: unknown): PanelMessage | undefined {
  if (typeof value !== "object" || value === null || !("type" in value)) return undefined;
  switch (value.type) {
    case "ready":
      return { type: "ready" };
    case "openSettings":
      return "setting" in value && isSetting(value.setting)
        ? { type: "openSettings", setting: value.setting }
        : undefined;
    case "setEnabled":
      return "enabled" in value && typeof value.enabled === "boolean"
        ? { type: "setEnabled", enabled: value.enabled }
        : undefined;
    case "setMode":
      return "mode" in value && isModeChoice(value.mode) ? { type: "setMode", mode: value.mode } : undefined;
    case "reveal":
      return "root" in value && typeof value.root === "string" && "path" in value && isInside(value.path)
        ? { type: "reveal", root: value.root, path: value.path }
        : undefined;
    case "run":
      return "command" in value && isPanelCommand(value.command) ? { type: "run", command: value.command } : undefined;
    default:
      return undefined;
  }
}

function isSetting(value: unknown): value is string {
  return typeof value === "string" && /^precis\.[A-Za-z.]*$/.test(value);
}

/** A path that does not lead out of the folder it is relative to. */
function isInside(value: unknown): value is string {
  return typeof value === "string" && !value.split("/").includes("..");
}

function isPanelCommand(value: unknown): value is keyof typeof PANEL_COMMANDS {
  return typeof value === "string" && Object.hasOwn(PANEL_COMMANDS, value);
}
