// “Doctor”: the engine looks over the whole installation, and a panel says what is wrong and what to do about it.
import { commands, type Disposable, type Uri, window } from "vscode";
import { ExecuteCommandRequest } from "vscode-languageclient/node";
import { type DoctorReport, ENGINE_COMMANDS } from "../engine/protocol.ts";
import type { Engine } from "./client.ts";
import { AGAIN_LINK, doctorText, LOG_LINK } from "./doctorText.ts";
import { createMarkdownPanel } from "./markdownPanel.ts";

export interface DoctorView extends Disposable {
  show(): Promise<void>;
}

export function createDoctorView(extensionUri: Uri, engine: Engine): DoctorView {
  const panel = createMarkdownPanel(extensionUri, {
    viewType: "precis.doctor",
    title: "Precis: Doctor",
    onLink: async (href) => {
      if (href === AGAIN_LINK) await show();
      if (href === LOG_LINK) await commands.executeCommand("precis.showLog");
    },
  });

  async function show(): Promise<void> {
    if (!engine.isRunning()) {
      const question = "Precis: the engine's process is not running, so it cannot look over the installation.";
      const answer = await window.showWarningMessage(question, "Restart the engine", "Show the log");
      if (answer === "Restart the engine") await commands.executeCommand("precis.restart");
      if (answer === "Show the log") await commands.executeCommand("precis.showLog");
      return;
    }
    await panel.show(doctorText(await ask(engine)));
  }

  return { dispose: () => panel.dispose(), show };
}

function ask(engine: Engine): Promise<DoctorReport> {
  const command = ENGINE_COMMANDS.doctor;
  return engine.client.sendRequest(ExecuteCommandRequest.type, { command, arguments: [] });
}
