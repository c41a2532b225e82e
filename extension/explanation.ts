// “Explain Last Completion”: the engine's account in a panel whose links open code.
import {
  type Disposable,
  NotebookEditorRevealType,
  NotebookRange,
  Range,
  Uri,
  ViewColumn,
  window,
  workspace,
} from "vscode";
import { EXPLAIN, type ExplainParams, type Explanation } from "../engine/protocol.ts";
import type { Engine } from "./client.ts";
import { type ExplanationLink, parseExplanationLink } from "./explanationLink.ts";
import { createMarkdownPanel } from "./markdownPanel.ts";
import { cellAt } from "./notebookCell.ts";

export interface ExplanationView extends Disposable {
  show(): Promise<void>;
}

export function createExplanationView(extensionUri: Uri, engine: Engine): ExplanationView {
  let root: string | null = null;
  const panel = createMarkdownPanel(extensionUri, {
    viewType: "precis.explanation",
    title: "Last completion",
    onLink: (href) => openLink(href, root),
  });
  return {
    dispose: () => panel.dispose(),
    async show() {
      const explanation = await explanationOf(engine);
      if (explanation === undefined) {
        void window.showWarningMessage("Precis: the engine is not running; there is nothing to explain.");
        return;
      }
      root = explanation.root;
      await panel.show(explanation.markdown);
    },
  };
}

/**
 * The account of the last request, with a word on the active editor's document where that was not its own. Undefined while
 * the engine does not run.
 */
export function explanationOf(engine: Engine): Promise<Explanation | undefined> {
  const uri = window.activeTextEditor?.document.uri.toString();
  const params: ExplainParams | null = uri === undefined ? null : { uri };
  return engine.ask<Explanation>(EXPLAIN, params);
}

async function openLink(href: string, root: string | null): Promise<void> {
  const link = parseExplanationLink(href);
  if (link === undefined || root === null) return;
  const uri = Uri.joinPath(Uri.file(root), link.path);
  try {
    await (link.path.endsWith(".ipynb") ? showCell(uri, link) : showLines(uri, link));
  } catch {
    void window.showWarningMessage(`Precis: ${link.path} is not there any more.`);
  }
}

async function showLines(uri: Uri, { from, to }: ExplanationLink): Promise<void> {
  const document = await workspace.openTextDocument(uri);
  const last = document.lineAt(Math.min(to, document.lineCount) - 1).range.end;
  const selection = new Range(Math.min(from, document.lineCount) - 1, 0, last.line, last.character);
  await window.showTextDocument(document, { viewColumn: ViewColumn.One, selection });
}

/** The lines are those of the notebook's file, which nobody looks at. */
async function showCell(uri: Uri, { from }: ExplanationLink): Promise<void> {
  const cell = cellAt(new TextDecoder().decode(await workspace.fs.readFile(uri)), from) ?? 0;
  const range = new NotebookRange(cell, cell + 1);
  const notebook = await workspace.openNotebookDocument(uri);
  const editor = await window.showNotebookDocument(notebook, { viewColumn: ViewColumn.One, selections: [range] });
  editor.revealRange(range, NotebookEditorRevealType.InCenterIfOutsideViewport);
}
