// The key of the reader's server: asked of the person, kept in the editor's secret storage, told to the engine alone. Each key
// belongs to one server, so that settings that name another one do not get it.
import { Disposable, type ExtensionContext, type SecretStorage, window, workspace } from "vscode";
import { State } from "vscode-languageclient/node";
import { READER_KEY, type ReaderKey, SETTINGS_SECTION } from "../engine/protocol.ts";
import type { Engine } from "./client.ts";
import { originOf } from "./readerOrigin.ts";

const ENDPOINT = "reader.endpoint";

export interface ReaderKeys extends Disposable {
  /** Asks for the key of the server that the settings name. */
  ask(): Promise<void>;
}

export function createReaderKeys({ secrets }: ExtensionContext, engine: Engine): ReaderKeys {
  const tell = async (): Promise<void> => {
    const origin = chosenOrigin();
    if (origin === undefined || !engine.isRunning()) return;
    const key = (await secrets.get(nameOf(origin))) ?? null;
    await engine.client.sendNotification(READER_KEY, { origin, key } satisfies ReaderKey);
  };
  const subscriptions = Disposable.from(
    engine.client.onDidChangeState(({ newState }) => {
      if (newState === State.Running) void tell();
    }),
    workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration(`${SETTINGS_SECTION}.${ENDPOINT}`)) void tell();
    }),
    // Another window may have set it.
    secrets.onDidChange(() => void tell()),
  );
  return { ask: () => askKey(secrets), dispose: () => subscriptions.dispose() };
}

async function askKey(secrets: SecretStorage): Promise<void> {
  const origin = chosenOrigin();
  if (origin === undefined) {
    void window.showWarningMessage("Precis: set precis.reader.endpoint to the server's address first.");
    return;
  }
  const key = await window.showInputBox({
    title: `Key of ${origin}`,
    prompt: "It is kept in the editor's secret storage and sent to this server alone. Empty: none.",
    password: true,
    ignoreFocusOut: true,
  });
  if (key === undefined) return;
  if (key.trim() === "") await secrets.delete(nameOf(origin));
  else await secrets.store(nameOf(origin), key.trim());
}

function chosenOrigin(): string | undefined {
  return originOf(workspace.getConfiguration(SETTINGS_SECTION).get(ENDPOINT, ""));
}

function nameOf(origin: string): string {
  return `precis.readerKey ${origin}`;
}
