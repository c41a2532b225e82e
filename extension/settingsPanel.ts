// The settings panel: one webview under a strict content-security policy. It shows the engine's status and writes real settings.
import { randomBytes } from "node:crypto";
import { commands, Disposable, Uri, ViewColumn, type Webview, type WebviewPanel, window, workspace } from "vscode";
import { SETTINGS_SECTION } from "../engine/protocol.ts";
import type { Engine } from "./client.ts";
import { PANEL_COMMANDS, type PanelMessage, type PanelState, parsePanelMessage } from "./panelMessages.ts";
import { chosenMode, hasFolder, isEnabled, setEnabled, setMode } from "./settings.ts";

export interface SettingsPanel extends Disposable {
  show(): Promise<void>;
}

export function createSettingsPanel(extensionUri: Uri, engine: Engine): SettingsPanel {
  const media = Uri.joinPath(extensionUri, "media");
  let open: WebviewPanel | undefined;

  const push = (): void => {
    void open?.webview.postMessage(panelState(engine));
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
        if (message.type === "ready") push();
        else await obey(message);
      });
      panel.webview.html = await page(panel.webview, media);
    },
  };
}

async function obey(message: Exclude<PanelMessage, { type: "ready" }>): Promise<void> {
  switch (message.type) {
    case "setEnabled":
      return setEnabled(message.enabled);
    case "setMode":
      return setMode(message.mode);
    case "openSettings":
      await commands.executeCommand("workbench.action.openSettings", `${SETTINGS_SECTION}.`);
      return;
    case "run":
      await commands.executeCommand(PANEL_COMMANDS[message.command]);
  }
}

function panelState(engine: Engine): PanelState {
  return {
    status: engine.status(),
    enabled: isEnabled(),
    mode: chosenMode(),
    target: hasFolder() ? "workspace" : "user",
  };
}

/** The page is a file of its own; only what differs each time is filled in here. */
async function page(webview: Webview, media: Uri): Promise<string> {
  const nonce = randomBytes(18).toString("base64");
  const policy = [
    "default-src 'none'",
    `img-src ${webview.cspSource}`,
    `style-src ${webview.cspSource}`,
    `script-src 'nonce-${nonce}'`,
  ].join("; ");
  const fill: Readonly<Record<string, string>> = {
    policy,
    nonce,
    style: webview.asWebviewUri(Uri.joinPath(media, "settingsPanel.css")).toString(),
    script: webview.asWebviewUri(Uri.joinPath(media, "settingsPanel.js")).toString(),
    icon: webview.asWebviewUri(Uri.joinPath(media, "icon.png")).toString(),
  };
  const template = new TextDecoder().decode(await workspace.fs.readFile(Uri.joinPath(media, "settingsPanel.html")));
  return template.replace(/\{\{(\w+)\}\}/g, (whole, name: string) => fill[name] ?? whole);
}
