// What the settings panel's page and the extension say to each other. The page is untrusted input like any other: parsed here.
import type { EngineStatus } from "../engine/protocol.ts";
import { isMode, type Mode } from "./mode.ts";

/** Extension → page: everything the page shows. */
export interface PanelState {
  readonly status: EngineStatus;
  readonly enabled: boolean;
  readonly mode: Mode;
  /** Where a change is written. */
  readonly target: "workspace" | "user";
}

export const PANEL_COMMANDS = {
  reindex: "precis.reindex",
  explain: "precis.explain",
  showLog: "precis.showLog",
  restart: "precis.restart",
} as const;

/** Page → extension. */
export type PanelMessage =
  | { readonly type: "ready" }
  | { readonly type: "setEnabled"; readonly enabled: boolean }
  | { readonly type: "setMode"; readonly mode: Mode }
  | { readonly type: "openSettings" }
  | { readonly type: "run"; readonly command: keyof typeof PANEL_COMMANDS };

export function parsePanelMessage(value: unknown): PanelMessage | undefined {
  if (typeof value !== "object" || value === null || !("type" in value)) return undefined;
  switch (value.type) {
    case "ready":
    case "openSettings":
      return { type: value.type };
    case "setEnabled":
      return "enabled" in value && typeof value.enabled === "boolean"
        ? { type: "setEnabled", enabled: value.enabled }
        : undefined;
    case "setMode":
      return "mode" in value && isMode(value.mode) ? { type: "setMode", mode: value.mode } : undefined;
    case "run":
      return "command" in value && isPanelCommand(value.command) ? { type: "run", command: value.command } : undefined;
    default:
      return undefined;
  }
}

function isPanelCommand(value: unknown): value is keyof typeof PANEL_COMMANDS {
  return typeof value === "string" && Object.hasOwn(PANEL_COMMANDS, value);
}
