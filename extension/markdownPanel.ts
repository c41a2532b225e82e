// A panel that shows Markdown through the editor's own renderer. Its links come back as text, to whoever opened it.
import { commands, type Disposable, Uri, ViewColumn, type WebviewPanel, window } from "vscode";
import { webviewPage } from "./webviewPage.ts";

export interface MarkdownPanel extends Disposable {
  /** Opens the panel, or brings it to the front, with that text in it. */
  show(markdown: string): Promise<void>;
}

export interface MarkdownPanelOptions {
  readonly viewType: string;
  readonly title: string;
  /** A link was clicked; `href` as it stands in the text. */
  readonly onLink: (href: string) => Promise<void> | void;
}

export function createMarkdownPanel(
  extensionUri: Uri,
  { viewType, title, onLink }: MarkdownPanelOptions,
): MarkdownPanel {
  const media = Uri.joinPath(extensionUri, "media");
  let open: WebviewPanel | undefined;
  let shown = "";

  const push = async (): Promise<void> => {
    const html = await commands.executeCommand<string>("markdown.api.render", shown);
    await open?.webview.postMessage({ html });
  };

  return {
    dispose: () => open?.dispose(),
    async show(markdown) {
      shown = markdown;
      if (open !== undefined) {
        open.reveal();
        return push();
      }
      const panel = window.createWebviewPanel(viewType, title, ViewColumn.Beside, {
        enableScripts: true,
        localResourceRoots: [media],
        enableFindWidget: true,
      });
      open = panel;
      panel.iconPath = Uri.joinPath(media, "icon.png");
      panel.onDidDispose(() => {
        open = undefined;
      });
      panel.webview.onDidReceiveMessage((message: unknown) => (isOpenMessage(message) ? onLink(message.open) : push()));
      panel.webview.html = await webviewPage(panel.webview, media, "markdown", { title });
    },
  };
}

/** What the page sends: `{open}` for a link, anything else when it has loaded. */
function isOpenMessage(message: unknown): message is { readonly open: string } {
  return typeof message === "object" && message !== null && "open" in message && typeof message.open === "string";
}
