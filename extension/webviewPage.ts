// A webview's page: a file of `media/` under a strict content-security policy, with what differs each time filled in.
import { randomBytes } from "node:crypto";
import { Uri, type Webview, workspace } from "vscode";

/**
 * Reads `NAME.html` of `media`, whose `{{style}}` and `{{script}}` are `NAME.css` and `NAME.js` beside it. `files`: other
 * files of `media` by the names they have on the page.
 */
export async function webviewPage(
  webview: Webview,
  media: Uri,
  name: string,
  { title = "Precis", files = {} }: { readonly title?: string; readonly files?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  const nonce = randomBytes(18).toString("base64");
  const policy = [
    "default-src 'none'",
    `img-src ${webview.cspSource}`,
    `style-src ${webview.cspSource}`,
    `script-src 'nonce-${nonce}'`,
  ].join("; ");
  const address = (file: string) => webview.asWebviewUri(Uri.joinPath(media, file)).toString();
  const fill: Readonly<Record<string, string>> = {
    policy,
    nonce,
    style: address(`${name}.css`),
    script: address(`${name}.js`),
    icon: address("icon.png"),
    title,
    ...Object.fromEntries(Object.entries(files).map(([key, file]) => [key, address(file)])),
  };
  const template = new TextDecoder().decode(await workspace.fs.readFile(Uri.joinPath(media, `${name}.html`)));
  return template.replace(/\{\{(\w+)\}\}/g, (whole, key: string) => fill[key] ?? whole);
}
