// What the engine cannot know from LSP: undo and redo, several cursors, comparisons, documents that cannot be written.
import {
  Disposable,
  TabInputTextDiff,
  type TextDocument,
  TextDocumentChangeReason,
  type TextEditor,
  window,
  workspace,
} from "vscode";
import type { LanguageClient } from "vscode-languageclient/node";
import { EDITOR_STATE, type EditorState } from "../engine/protocol.ts";

/** Tells the engine when any of it changes for the active editor; nothing is sent while a person just types. */
export function followEditor(client: LanguageClient): Disposable {
  let sent = "";
  const tell = (editor: TextEditor | undefined, undoneVersion?: number): void => {
    if (editor === undefined || !client.isRunning()) return;
    const state = stateOf(editor, undoneVersion);
    const text = JSON.stringify(state);
    if (text === sent) return;
    sent = text;
    // An engine that has just died is told again when it runs: what was sent is forgotten.
    client.sendNotification(EDITOR_STATE, state).catch(() => {
      sent = "";
    });
  };
  return Disposable.from(
    window.onDidChangeTextEditorSelection(({ textEditor }) => tell(textEditor)),
    window.onDidChangeActiveTextEditor((editor) => tell(editor)),
    window.tabGroups.onDidChangeTabs(() => tell(window.activeTextEditor)),
    workspace.onDidChangeTextDocument(({ document, reason }) => {
      const isUndone = reason === TextDocumentChangeReason.Undo || reason === TextDocumentChangeReason.Redo;
      const editor = window.activeTextEditor;
      if (isUndone && editor?.document === document) tell(editor, document.version);
    }),
  );
}

function stateOf({ document, selections }: TextEditor, undoneVersion: number | undefined): EditorState {
  return {
    uri: document.uri.toString(),
    cursors: selections.length,
    isDiff: isOldSide(document),
    // Undefined means that nobody knows, as for a scheme without a file system.
    isReadOnly: workspace.fs.isWritableFileSystem(document.uri.scheme) === false,
    ...(undoneVersion === undefined ? {} : { undoneVersion }),
  };
}

/** Of a comparison, where the new side is a file that people go on writing in. */
function isOldSide(document: TextDocument): boolean {
  const input = window.tabGroups.activeTabGroup.activeTab?.input;
  if (!(input instanceof TabInputTextDiff)) return false;
  const uri = document.uri.toString();
  return uri === input.original.toString() && uri !== input.modified.toString();
}
