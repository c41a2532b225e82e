// The settings the extension itself reads, three of which it writes; everything else is the engine's to read.
import { ConfigurationTarget, workspace } from "vscode";
import { SETTINGS_SECTION } from "../engine/protocol.ts";
import { isModeChoice, type ModeChoice } from "./mode.ts";

export function isEnabled(): boolean {
  return workspace.getConfiguration(SETTINGS_SECTION).get("enabled", true);
}

export function chosenMode(): ModeChoice {
  const mode = workspace.getConfiguration(SETTINGS_SECTION).get<unknown>("mode");
  return isModeChoice(mode) ? mode : "auto";
}

/** The manifest gives the default. */
export function diskLimitMiB(): number {
  return workspace.getConfiguration(SETTINGS_SECTION).get("index.maxDiskMiB", 0);
}

/** The manifest gives the default. */
export function isLearning(): boolean {
  return workspace.getConfiguration(SETTINGS_SECTION).get("completion.learn", false);
}

export async function setEnabled(enabled: boolean): Promise<void> {
  await workspace.getConfiguration(SETTINGS_SECTION).update("enabled", enabled, settingsTarget());
}

export async function setMode(mode: ModeChoice): Promise<void> {
  await workspace.getConfiguration(SETTINGS_SECTION).update("mode", mode, settingsTarget());
}

export function chosenPack(): string {
  return workspace.getConfiguration(SETTINGS_SECTION).get("pack", "auto");
}

/** A model belongs to the machine, unless the folder has one of its own. */
export async function setPack(pack: string): Promise<void> {
  const settings = workspace.getConfiguration(SETTINGS_SECTION);
  const isOfFolder = settings.inspect("pack")?.workspaceValue !== undefined;
  await settings.update("pack", pack, isOfFolder ? ConfigurationTarget.Workspace : ConfigurationTarget.Global);
}

/** A choice belongs to the open folder; with no folder there are only the user's settings. */
function settingsTarget(): ConfigurationTarget {
  return hasFolder() ? ConfigurationTarget.Workspace : ConfigurationTarget.Global;
}

export function hasFolder(): boolean {
  return (workspace.workspaceFolders ?? []).length > 0;
}
