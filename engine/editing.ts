// The open documents as the completion side needs them: a cursor, in a notebook among its cells, and all that speaks for
// or against asking there.
import {
  type InlineCompletionParams,
  InlineCompletionTriggerKind,
  NotebookCellKind,
  NotebookDocuments,
  type TextDocuments,
} from "vscode-languageserver/node";
import type { TextDocument } from "vscode-languageserver-textdocument";
import type { Cursor } from "./completion/prompt.ts";
import { typingIntervalMs } from "./completion/rhythm.ts";
import type { Signals } from "./completion/signals.ts";
import { type ListedText, type Situation, TRIGGER } from "./completion/trigger.ts";
import { Typing } from "./completion/typing.ts";
import type { EditorState } from "./protocol.ts";

/** One request, in the document's own offsets and in those of the cursor's text. */
export interface Place {
  readonly document: TextDocument;
  /** Of the file: a cell's is its notebook's. */
  readonly uri: string;
  /** Offset in the document. */
  readonly offset: number;
  /** The cursor's text may be a whole notebook, and holds a list's item as if it had been taken. */
  readonly cursor: Omit<Cursor, "path">;
  readonly listed?: ListedText | undefined;
}

const ORDINARY = { cursors: 1, isDiff: false, isReadOnly: false };

export class Editing {
  readonly typing = new Typing();
  readonly notebooks: NotebookDocuments<TextDocument>;
  readonly #documents: TextDocuments<TextDocument>;
  #editor: EditorState | undefined;

  constructor(documents: TextDocuments<TextDocument>) {
    this.#documents = documents;
    this.notebooks = new NotebookDocuments(documents);
    documents.onDidChangeContent(({ document }) =>
      this.typing.changed(document.uri, document.version, document.getText(), performance.now()),
    );
    documents.onDidClose(({ document }) => this.typing.closed(document.uri));
  }

  editorState(state: EditorState): void {
    this.#editor = state;
    if (state.undoneVersion !== undefined) this.typing.undone(state.uri, state.undoneVersion);
  }

  /** What the editor said of that document last; an ordinary one for what it never spoke of. */
  editorOf(uri: string): Omit<EditorState, "uri"> {
    return this.#editor?.uri === uri ? this.#editor : ORDINARY;
  }

  /** Undefined for a document that is not open. */
  placeOf({ textDocument, position, context }: InlineCompletionParams): Place | undefined {
    const document = this.#documents.get(textDocument.uri);
    if (document === undefined) return undefined;
    const offset = document.offsetAt(position);
    const text = document.getText();
    const info = context.selectedCompletionInfo;
    const start = info === undefined ? offset : document.offsetAt(info.range.start);
    const end = info === undefined ? offset : document.offsetAt(info.range.end);
    const written = info === undefined ? text : text.slice(0, start) + info.text + text.slice(end);
    const cells = this.#cellsAround(document);
    return {
      document,
      uri: this.notebooks.findNotebookDocumentForCell(document.uri)?.uri ?? document.uri,
      offset,
      cursor: {
        text: cells.above + written + cells.below,
        offset: cells.above.length + (info === undefined ? offset : start + info.text.length),
      },
      listed: info === undefined ? undefined : { text: info.text, typed: text.slice(start, end) },
    };
  }

  situationOf(
    { document, cursor, listed }: Place,
    trigger: Signals["trigger"],
    facts: Pick<Situation, "isLanguageOn" | "isAnswered">,
  ): Situation {
    const { text, offset } = cursor;
    const lineStart = offset === 0 ? 0 : text.lastIndexOf("\n", offset - 1) + 1;
    const lineEnd = text.indexOf("\n", offset);
    const { cursors, isDiff, isReadOnly } = this.editorOf(document.uri);
    return {
      ...facts,
      trigger,
      scheme: document.uri.slice(0, document.uri.indexOf(":")),
      languageId: document.languageId,
      characters: text.length,
      wordCharacters: countWords(text, TRIGGER.leastCharacters),
      lineBefore: text.slice(lineStart, offset),
      lineAfter: text.slice(offset, lineEnd === -1 ? text.length : lineEnd),
      hasTextBelow: lineEnd !== -1 && /\S/.test(text.slice(lineEnd, lineEnd + 1000)),
      cursors,
      isDiff,
      isReadOnly,
      lastChange: this.typing.lastChange(document.uri),
      listed,
    };
  }

  signalsOf({ document }: Place, trigger: Signals["trigger"], now: number): Signals {
    const { shown, accepted } = this.typing.lately;
    return {
      trigger,
      languageId: document.languageId,
      lastChange: this.typing.lastChange(document.uri),
      sinceChangeMs: this.typing.sinceChangeMs(document.uri, now),
      typingIntervalMs: typingIntervalMs(this.typing.rhythm),
      shownLately: shown,
      acceptedLately: accepted,
      shape: "line",
    };
  }

  /** The code of the other cells of the same language, as if a notebook were one file; nothing around other documents. */
  #cellsAround(document: TextDocument): { above: string; below: string } {
    const cells = this.notebooks.findNotebookDocumentForCell(document.uri)?.cells ?? [];
    const at = cells.findIndex((cell) => cell.document === document.uri);
    if (at === -1) return { above: "", below: "" };
    const codeOf = (from: number, to: number) =>
      cells
        .slice(from, to)
        .filter(({ kind }) => kind === NotebookCellKind.Code)
        .map((cell) => this.#documents.get(cell.document))
        .filter((other) => other?.languageId === document.languageId)
        .map((other) => other?.getText() ?? "");
    return {
      above: codeOf(0, at)
        .map((code) => `${code}\n\n`)
        .join(""),
      below: codeOf(at + 1, cells.length)
        .map((code) => `\n\n${code}`)
        .join(""),
    };
  }
}

export function triggerOf({ context }: InlineCompletionParams): Signals["trigger"] {
  return context.triggerKind === InlineCompletionTriggerKind.Automatic ? "automatic" : "manual";
}

/** How many characters are no white space; stops counting at `enough`. */
function countWords(text: string, enough: number): number {
  let count = 0;
  for (let at = 0; at < text.length && count < enough; at += 1) if ((text[at] ?? "").trim() !== "") count += 1;
  return count;
}
