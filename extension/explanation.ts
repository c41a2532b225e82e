// “Explain Last Completion”: the engine's account as a read-only markdown document, shown as a preview.
import { commands, Disposable, EventEmitter, type TextDocumentContentProvider, Uri, window, workspace } from "vscode";
import { EXPLAIN, type Explanation } from "../engine/protocol.ts";
import type { Engine } from "./client.ts";

const SCHEME = "precis-explanation";
const DOCUMENT = Uri.from({ scheme: SCHEME, path: "/Last completion.md" });

export interface ExplanationView extends Disposable {
  show(): Promise<void>;
}

export function createExplanationView(engine: Engine): ExplanationView {
  let markdown = "";
  const changed = new EventEmitter<Uri>();
  const provider: TextDocumentContentProvider = {
    onDidChange: changed.event,
    provideTextDocumentContent: () => markdown,
  };
  const registration = workspace.registerTextDocumentContentProvider(SCHEME, provider);
  const disposable = Disposable.from(changed, registration);
  return {
    dispose: () => disposable.dispose(),
    async show() {
      if (!engine.isRunning()) {
        void window.showWarningMessage("Precis: the engine is not running; there is nothing to explain.");
        return;
      }
      const explanation = await engine.client.sendRequest<Explanation>(EXPLAIN, null);
      markdown = explanation.markdown;
      changed.fire(DOCUMENT);
      await commands.executeCommand("markdown.showPreview", DOCUMENT);
    },
  };
}
