// The settings panel: one webview under a strict content-security policy. It shows the engine's status and writes real settings.
import { commands, Disposable, Uri, ViewColumn, type WebviewPanel, window, workspace } from "vscode";
import { SETTINGS_SECTION, SKIPPED, type SkippedFiles } from "../engine/protocol.ts";
import type { Engine } from "./client.ts";
import { leftOutOf } from "./leftOut.ts";
import {
  PANEL_COMMANDS,
  type PanelMessage,
  type PanelState,
  type PanelUpdate,
  parsePanelMessage,
} from "./panelMessages.ts";
import { chosenMode, diskLimitMiB, hasFolder, isEnabled, setEnabled, setMode } from "./settings.ts";
import { executionText, indexedText, pauseText } from "./statusText.ts";
import { webviewPage } from "./webviewPage.ts";

export interface SettingsPanel extends Disposable {
  show(): Promise<void>;
}

export function createSettingsPanel(extensionUri: Uri, engine: Engine): SettingsPanel {
  const media = Uri.joinPath(extensionUri, "media");
  let open: WebviewPanel | undefined;

  let listed = "";

  const send = (update: PanelUpdate): void => {
    void open?.webview.postMessage(update);
  };
  const push = (): void => {
    send({ type: "state", state: panelState(engine) });
    // A pass that has ended may have left out others than the one before.
    const { folders } = engine.status().index;
    const passes = JSON.stringify(folders.map(({ root, indexedAt, readOnly }) => [root, indexedAt, readOnly]));
    if (open === undefined || passes === listed || !engine.isRunning()) return;
    listed = passes;
    void engine.ask<SkippedFiles>(SKIPPED).then((skipped) => {
      if (skipped !== undefined) send({ type: "leftOut", leftOut: leftOutOf(skipped, folders) });
    });
  };
  const subscriptions = Disposable.from(
    engine.onDidChangeStatus(push),
    workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration(SETTINGS_SECTION)) push();
    }),
  );

  return {
    dispose() {
      subscriptions.dispose();
      open?.dispose();
    },
    async show() {
      if (open !== undefined) {
        open.reveal();
        return;
      }
      const panel = window.createWebviewPanel("precis.settings", "Precis", ViewColumn.Active, {
        enableScripts: true,
        localResourceRoots: [media],
      });
      open = panel;
      panel.iconPath = Uri.joinPath(media, "icon.png");
      panel.onDidDispose(() => {
        open = undefined;
      });
      panel.webview.onDidReceiveMessage(async (value: unknown) => {
        const message = parsePanelMessage(value);
        if (message === undefined) return;
        if (message.type === "ready") {
          listed = "";
          push();
        } else {
          await obey(message, engine);
        }
      });
      panel.webview.html = await webviewPage(panel.webview, media, "settingsPanel", {
        files: { leftOutScript: "settingsPanel.leftOut.js" },
      });
    },
  };
}

async function obey(message: Exclude<PanelMessage, { type: "ready" }>, engine: Engine): Promise<void> {
  switch (message.type) {
    case "setEnabled":
      return setEnabled(message.enabled);
    case "setMode":
      return setMode(message.mode);
    case "openSettings":
      await commands.executeCommand("workbench.action.openSettings", message.setting);
      return;
    case "reveal": {
      const folder = engine.status().index.folders.find(({ root }) => root === message.root);
      if (folder === undefined) return;
      await commands.executeCommand("revealInExplorer", Uri.joinPath(Uri.file(folder.root), message.path));
      return;
    }
    case "run":
      await commands.executeCommand(PANEL_COMMANDS[message.command]);
  }
}

function panelState(engine: Engine): PanelState {
  const status = engine.status();
  return {
    status,
    pauseText: status.paused === null ? null : pauseText(status.paused),
    indexedText: indexedText(status.index, new Date()),
    executionText: executionText(status.execution),
    diskLimitMiB: diskLimitMiB(),
    enabled: isEnabled(),
    mode: chosenMode(),
    target: hasFolder() ? "workspace" : "user",
  };
}
