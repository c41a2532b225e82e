// “Show Statistics”: what became of completions, as the engine counted it on this machine, and the way to forget it.
import { commands, type Disposable, type Uri, window } from "vscode";
import { STATISTICS, type Statistics } from "../engine/protocol.ts";
import type { Engine } from "./client.ts";
import { createMarkdownPanel } from "./markdownPanel.ts";
import { isLearning } from "./settings.ts";
import { FORGET_LINK, REFRESH_LINK, statisticsText } from "./statisticsText.ts";

export interface StatisticsView extends Disposable {
  show(): Promise<void>;
}

export function createStatisticsView(extensionUri: Uri, engine: Engine): StatisticsView {
  const panel = createMarkdownPanel(extensionUri, {
    viewType: "precis.statistics",
    title: "Precis statistics",
    onLink: async (href) => {
      if (href === FORGET_LINK) await forget();
      if (href === FORGET_LINK || href === REFRESH_LINK) await show();
    },
  });

  async function show(): Promise<void> {
    const statistics = await engine.ask<Statistics>(STATISTICS);
    if (statistics === undefined) {
      void window.showWarningMessage("Precis: the engine is not running; its statistics come with it.");
      return;
    }
    await panel.show(statisticsText(statistics, isLearning()));
  }

  return { dispose: () => panel.dispose(), show };
}

async function forget(): Promise<void> {
  const question = "Forget all counts, and what the gate learned from them?";
  const answer = await window.showWarningMessage(`Precis: ${question}`, { modal: true }, "Forget");
  if (answer === "Forget") await commands.executeCommand("precis.forgetStatistics");
}
