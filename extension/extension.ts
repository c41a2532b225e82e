// Composition: builds the parts, connects them, starts the engine. The only file VS Code calls.
import { type ExtensionContext, window } from "vscode";
import { type EngineStatus, STATISTICS, type Statistics } from "../engine/protocol.ts";
import { Engine } from "./client.ts";
import { MENU_COMMAND, registerCommands } from "./commands.ts";
import { createDoctorView } from "./doctor.ts";
import { followEditor } from "./editorState.ts";
import { createExplanationView, explanationOf } from "./explanation.ts";
import { createHubTokens } from "./hubToken.ts";
import { registerAccepted } from "./inlineCompletions.ts";
import { createReaderKeys } from "./readerKey.ts";
import { createSettingsPanel } from "./settingsPanel.ts";
import { createStatisticsView } from "./statistics.ts";
import { createStatusBar } from "./statusBar.ts";

/** For other extensions and for tests: look, don't touch. */
export interface PrecisApi {
  status(): EngineStatus;
  enginePid(): number | undefined;
  /** What “Explain Last Completion” shows, as Markdown; undefined while the engine does not run. */
  explain(): Promise<string | undefined>;
  /** What “Show Statistics” shows; undefined while the engine does not run. */
  statistics(): Promise<Statistics | undefined>;
}

export function activate(context: ExtensionContext): PrecisApi {
  const log = window.createOutputChannel("Precis", { log: true });
  const engine = new Engine(context, log);
  const explanation = createExplanationView(context.extensionUri, engine);
  const statistics = createStatisticsView(context.extensionUri, engine);
  const doctor = createDoctorView(context.extensionUri, engine);
  const panel = createSettingsPanel(context.extensionUri, engine);
  const tokens = createHubTokens(context);
  const readerKeys = createReaderKeys(context, engine);
  context.subscriptions.push(
    log,
    readerKeys,
    explanation,
    statistics,
    doctor,
    panel,
    createStatusBar(engine, MENU_COMMAND),
    registerAccepted(engine.client),
    followEditor(engine.client),
    registerCommands({ engine, panel, explanation, statistics, doctor, readerKeys, tokens, log }),
  );
  void engine.start();
  running = engine;
  return {
    status: () => engine.status(),
    enginePid: () => engine.pid(),
    explain: async () => (await explanationOf(engine))?.markdown,
    statistics: () => engine.ask<Statistics>(STATISTICS),
  };
}

/** VS Code waits for this promise, but not for those of subscriptions: the engine needs the time to close its store. */
export async function deactivate(): Promise<void> {
  await running?.dispose();
  running = undefined;
}

let running: Engine | undefined;
