// “Explain Last Completion”: the engine's account, rendered by the editor's own Markdown, in a panel whose links open code.
import { commands, type Disposable, Range, Uri, ViewColumn, type WebviewPanel, window, workspace } from "vscode";
import { EXPLAIN, type ExplainParams, type Explanation } from "../engine/protocol.ts";
import type { Engine } from "./client.ts";
import { parseExplanationLink } from "./explanationLink.ts";
import { webviewPage } from "./webviewPage.ts";

export interface ExplanationView extends Disposable {
  show(): Promise<void>;
}

export function createExplanationView(extensionUri: Uri, engine: Engine): ExplanationView {
  const media = Uri.joinPath(extensionUri, "media");
  let open: WebviewPanel | undefined;
  let shown: Explanation | undefined;

  const push = async (): Promise<void> => {
    if (shown === undefined) return;
    const html = await commands.executeCommand<string>("markdown.api.render", shown.markdown);
    await open?.webview.postMessage({ html });
  };

  return {
    dispose: () => open?.dispose(),
    async show() {
      if (!engine.isRunning()) {
        void window.showWarningMessage("Precis: the engine is not running; there is nothing to explain.");
        return;
      }
      shown = await explanationOf(engine);
      if (open !== undefined) {
        open.reveal();
        return push();
      }
      const panel = window.createWebviewPanel("precis.explanation", "Last completion", ViewColumn.Beside, {
        enableScripts: true,
        localResourceRoots: [media],
        enableFindWidget: true,
      });
      open = panel;
      panel.iconPath = Uri.joinPath(media, "icon.png");
      panel.onDidDispose(() => {
        open = undefined;
      });
      panel.webview.onDidReceiveMessage((message: unknown) =>
        isOpenMessage(message) ? openLink(message.open, shown?.root ?? null) : push(),
      );
      panel.webview.html = await webviewPage(panel.webview, media, "explanation");
    },
  };
}

/** The account of the last request, with a word on the active editor's document where that was not its own. */
export function explanationOf(engine: Engine): Promise<Explanation> {
  const uri = window.activeTextEditor?.document.uri.toString();
  const params: ExplainParams | null = uri === undefined ? null : { uri };
  return engine.client.sendRequest<Explanation>(EXPLAIN, params);
}

/** What the page sends: `{open}` for a link, anything else when it has loaded. */
function isOpenMessage(message: unknown): message is { readonly open: string } {
  return typeof message === "object" && message !== null && "open" in message && typeof message.open === "string";
}

async function openLink(href: string, root: string | null): Promise<void> {
  const link = parseExplanationLink(href);
  if (link === undefined || root === null) return;
  const uri = Uri.joinPath(Uri.file(root), link.path);
  try {
    const document = await workspace.openTextDocument(uri);
    const last = document.lineAt(Math.min(link.to, document.lineCount) - 1).range.end;
    const selection = new Range(Math.min(link.from, document.lineCount) - 1, 0, last.line, last.character);
    await window.showTextDocument(document, { viewColumn: ViewColumn.One, selection });
  } catch {
    void window.showWarningMessage(`Precis: ${link.path} is not there any more.`);
  }
}
