// The commands of the palette, and the menu behind the status-bar item.
import { commands, Disposable, type LogOutputChannel, type QuickPickItem, QuickPickItemKind, window } from "vscode";
import { ExecuteCommandRequest } from "vscode-languageclient/node";
import { ENGINE_COMMANDS, type EngineStatus } from "../engine/protocol.ts";
import { askToken, chooseModel } from "./chooseModel.ts";
import type { Engine } from "./client.ts";
import type { DoctorView } from "./doctor.ts";
import type { ExplanationView } from "./explanation.ts";
import { downloadGpuLibraries } from "./gpuLibraries.ts";
import type { HubTokens } from "./hubToken.ts";
import { cancelIndexing, indexNow, reindex } from "./indexing.ts";
import { AUTOMATIC, MODE_TITLES, type ModeChoice } from "./mode.ts";
import type { ReaderKeys } from "./readerKey.ts";
import { chosenMode, isEnabled, setEnabled, setMode } from "./settings.ts";
import type { SettingsPanel } from "./settingsPanel.ts";
import type { StatisticsView } from "./statistics.ts";
import { indexText, lastText, modeText, pauseText } from "./statusText.ts";

export const MENU_COMMAND = "precis.menu";

interface Parts {
  readonly engine: Engine;
  readonly panel: SettingsPanel;
  readonly explanation: ExplanationView;
  readonly statistics: StatisticsView;
  readonly doctor: DoctorView;
  readonly readerKeys: ReaderKeys;
  readonly tokens: HubTokens;
  readonly log: LogOutputChannel;
}

export function registerCommands(parts: Parts): Disposable {
  const actions: Readonly<Record<string, () => Promise<void> | void>> = {
    "precis.reindex": () => reindex(parts.engine),
    "precis.index": () => indexNow(parts.engine),
    "precis.cancelIndexing": () => cancelIndexing(parts.engine),
    "precis.toggle": () => toggle(),
    "precis.chooseModel": () => chooseModel(parts),
    "precis.setHubToken": () => askToken(parts),
    "precis.downloadGpuLibraries": () => downloadGpuLibraries(parts),
    "precis.openPanel": () => parts.panel.show(),
    "precis.explain": () => parts.explanation.show(),
    "precis.statistics": () => parts.statistics.show(),
    "precis.doctor": () => parts.doctor.show(),
    "precis.setReaderKey": () => parts.readerKeys.ask(),
    "precis.forgetStatistics": () => forgetStatistics(parts.engine),
    "precis.showLog": () => parts.log.show(),
    "precis.restart": () => parts.engine.restart(),
    [MENU_COMMAND]: () => showMenu(parts.engine),
  };
  return Disposable.from(...Object.entries(actions).map(([name, action]) => commands.registerCommand(name, action)));
}

async function toggle(): Promise<void> {
  const enabled = !isEnabled();
  await setEnabled(enabled);
  window.setStatusBarMessage(enabled ? "Precis: completions on" : "Precis: completions off", 3000);
}

/** Counts of what became of completions, and what the gate learned from it. */
async function forgetStatistics(engine: Engine): Promise<void> {
  if (!engine.isRunning()) {
    void window.showWarningMessage("Precis: the engine is not running. Start it, then forget its statistics.");
    return;
  }
  const command = ENGINE_COMMANDS.forgetBehaviour;
  await engine.client.sendRequest(ExecuteCommandRequest.type, { command, arguments: [] });
  void window.showInformationMessage("Precis: statistics and what was learned from them are forgotten.");
}

interface MenuRow extends QuickPickItem {
  readonly run?: () => Promise<void> | PromiseLike<unknown>;
}

async function showMenu(engine: Engine): Promise<void> {
  const status = engine.status();
  const modes = status.pack?.modes ?? ["full", "compressed", "none"];
  const rows: MenuRow[] = [
    {
      label: isEnabled() ? "$(circle-slash) Turn completions off" : "$(sparkle) Turn completions on",
      run: () => toggle(),
    },
    { label: "What a completion sees", kind: QuickPickItemKind.Separator },
    modeRow("auto", null, chosenMode() === "auto" ? modeText(status) : AUTOMATIC),
    ...(["full", "compressed", "none"] as const)
      .filter((mode) => modes.includes(mode) || mode === "compressed")
      .map((mode) =>
        modeRow(mode, mode === "compressed" ? (status.pack?.compressedFault ?? null) : null, MODE_TITLES[mode]),
      ),
    { label: "", kind: QuickPickItemKind.Separator },
    ...indexingRow(status),
    commandRow("$(package) Choose model", "precis.chooseModel", status.pack?.title),
    commandRow("$(settings-gear) Settings panel", "precis.openPanel"),
    commandRow("$(sync) Re-index workspace", "precis.reindex", indexText(status.index)),
    commandRow("$(question) Explain last completion", "precis.explain", lastText(status.last)),
    commandRow("$(graph) Statistics", "precis.statistics"),
    commandRow("$(pulse) Doctor", "precis.doctor", "is this installation able to work?"),
    commandRow("$(output) Show log", "precis.showLog"),
    commandRow("$(debug-restart) Restart engine", "precis.restart"),
  ];
  const chosen = await window.showQuickPick(rows, { title: "Precis", placeHolder: status.message });
  await chosen?.run?.();
}

/** Only where there is something to end or to begin. */
function indexingRow(status: EngineStatus): MenuRow[] {
  if (status.state === "indexing")
    return [commandRow("$(close) Cancel indexing", "precis.cancelIndexing", status.message)];
  if (status.paused !== null) return [commandRow("$(play) Index now", "precis.index", pauseText(status.paused))];
  return [];
}

/** A mode that the pack does not have tells why when it is chosen. */
function modeRow(mode: ModeChoice, fault: string | null, title: string): MenuRow {
  const isChosen = mode === chosenMode();
  if (fault !== null) {
    const run = () => window.showInformationMessage(`Precis: ${fault}`);
    return { label: `$(circle-slash) ${title}`, description: "not there yet", detail: fault, run };
  }
  return {
    label: `${isChosen ? "$(circle-filled)" : "$(circle-outline)"} ${title}`,
    ...(isChosen ? { description: "chosen" } : {}),
    run: () => setMode(mode),
  };
}

function commandRow(label: string, command: string, description?: string): MenuRow {
  return { label, ...(description === undefined ? {} : { description }), run: () => commands.executeCommand(command) };
}
