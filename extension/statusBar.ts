// The status-bar item: state as text, the last completion and the index in the tooltip, a menu behind the click.
import { Disposable, MarkdownString, StatusBarAlignment, ThemeColor, window } from "vscode";
import type { EngineStatus } from "../engine/protocol.ts";
import type { Engine } from "./client.ts";
import {
  barText,
  executionText,
  indexedText,
  indexText,
  lastText,
  modeText,
  pauseText,
  spokenText,
} from "./statusText.ts";

type Link = readonly [command: string, title: string];

const LINKS: readonly Link[] = [
  ["precis.openPanel", "Settings"],
  ["precis.toggle", "Toggle"],
  ["precis.explain", "Explain"],
  ["precis.showLog", "Log"],
];
const CANCEL: Link = ["precis.cancelIndexing", "Cancel indexing"];
const INDEX_NOW: Link = ["precis.index", "Index now"];

export function createStatusBar(engine: Engine, menuCommand: string): Disposable {
  const item = window.createStatusBarItem("precis.status", StatusBarAlignment.Right, 100);
  item.name = "Precis";
  item.command = menuCommand;
  const show = (status: EngineStatus): void => {
    item.text = barText(status);
    item.tooltip = tooltip(status);
    item.accessibilityInformation = { label: spokenText(status), role: "button" };
    item.backgroundColor = status.state === "error" ? new ThemeColor("statusBarItem.errorBackground") : undefined;
  };
  show(engine.status());
  item.show();
  return Disposable.from(item, engine.onDidChangeStatus(show));
}

function tooltip(status: EngineStatus): MarkdownString {
  const text = new MarkdownString(undefined, true);
  const links = [...linksFor(status), ...LINKS];
  text.isTrusted = { enabledCommands: links.map(([command]) => command) };
  text.appendMarkdown("**Precis** — ").appendText(status.message === "" ? spokenText(status) : status.message);
  const rows: readonly (readonly [string, string])[] = [
    ["Mode", modeText(status)],
    ["Last completion", lastText(status.last)],
    ["Index", indexText(status.index)],
    ["Last indexed", indexedText(status.index, new Date())],
    ...(status.paused === null ? [] : [["Paused", pauseText(status.paused)] as const]),
    ["Pack", status.pack === null ? "none loaded" : `${status.pack.title} ${status.pack.version}`],
    ["Runs on", executionText(status.execution)],
  ];
  text.appendMarkdown("\n\n| | |\n|:--|:--|\n");
  for (const [name, value] of rows) text.appendMarkdown(`| ${name} | ${escapeCell(value)} |\n`);
  text.appendMarkdown(`\n${links.map(([command, title]) => `[${title}](command:${command})`).join(" · ")}`);
  return text;
}

/** What a person may want to do about the index, as it is now. */
function linksFor(status: EngineStatus): readonly Link[] {
  if (status.state === "indexing") return [CANCEL];
  return status.paused === null ? [] : [INDEX_NOW];
}

/** Pack titles are other people's text; they must not become links or break the table. */
function escapeCell(value: string): string {
  return value.replace(/[\\`*_{}[\]()#+!|<>~$&]/g, "\\$&").replace(/\s+/g, " ");
}
