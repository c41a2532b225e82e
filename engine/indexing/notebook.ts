// A Jupyter notebook's JSON -> the code of its cells as one text, and where each character of it stands in the file.
// Spans stay spans of the file, as everywhere else: `path:line` opens the cell's line in any editor, and the cell around
// an offset can be found. Outputs and prose are never read.
import { messageOf } from "../errors.ts";

export interface Notebook {
  /** The code cells, a blank line between two. */
  readonly code: string;
  /** Offsets in `code`, in order. */
  readonly cellStarts: readonly number[];
  /** Of the kernel, in small letters. */
  readonly language: string;
  /** Offset in `code` -> offset in the file, and how many code units of the file write that character. */
  placeOf(offset: number): { readonly at: number; readonly width: number };
  /** Why there is no code: the file is no notebook. */
  readonly fault?: string;
}

/** Outputs, pictures above all, make a notebook many times as large as its code. */
const ROOM_FOR_OUTPUTS = 16;

const BETWEEN_CELLS = "\n\n";

export function isNotebook(path: string): boolean {
  return /\.ipynb$/i.test(path);
}

/** The limit of a file of that name; a notebook's code is measured by itself once it is read. */
export function mostBytes(path: string, maxFileBytes: number): number {
  return isNotebook(path) ? ROOM_FOR_OUTPUTS * maxFileBytes : maxFileBytes;
}

interface Run {
  /** Offset in the code. */
  readonly code: number;
  /** Offset in the file. */
  readonly file: number;
  /** Of each character in the file: 1, or that of an escape. */
  readonly width: number;
}

/** Never throws. */
export function readNotebook(text: string): Notebook {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch (error) {
    return emptyNotebook(`not JSON: ${messageOf(error)}`);
  }
  const cells = fieldOf(raw, "cells");
  if (!Array.isArray(cells)) return emptyNotebook("it has no cells; notebooks of format 3 must be saved anew");
  const isCode = cells.map((cell) => fieldOf(cell, "cell_type") === "code");
  const runs: Run[] = [];
  const cellStarts: number[] = [];
  let code = "";
  let before = -1;
  for (const { cell, start, end } of sourceStrings(text)) {
    if (!isCode[cell]) continue;
    if (before !== -1 && before !== cell) {
      runs.push({ code: code.length, file: start, width: 0 });
      code += BETWEEN_CELLS;
    }
    if (before !== cell) cellStarts.push(code.length);
    before = cell;
    code += decode(text, start, end, code.length, runs);
  }
  const metadata = fieldOf(raw, "metadata");
  const named =
    fieldOf(fieldOf(metadata, "kernelspec"), "language") ?? fieldOf(fieldOf(metadata, "language_info"), "name");
  const language = typeof named === "string" ? named.toLowerCase() : "python";
  return { code, cellStarts, language, placeOf: (offset) => placeIn(runs, offset) };
}

function emptyNotebook(fault: string): Notebook {
  return { code: "", cellStarts: [], language: "python", placeOf: () => ({ at: 0, width: 0 }), fault };
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

/** Text of `source` in valid JSON, whether one string or a list of lines, between its quotes. */
function* sourceStrings(text: string): Generator<{ cell: number; start: number; end: number }> {
  const open: { readonly isList: boolean; index: number; key: string; isKeyNext: boolean }[] = [];
  const marks = /["{}[\],]/g;
  for (let mark = marks.exec(text); mark !== null; mark = marks.exec(text)) {
    const inner = open.at(-1);
    switch (mark[0]) {
      case "{":
      case "[":
        open.push({ isList: mark[0] === "[", index: 0, key: "", isKeyNext: mark[0] === "{" });
        break;
      case "}":
      case "]":
        open.pop();
        break;
      case ",":
        if (inner === undefined) break;
        inner.index += 1;
        inner.isKeyNext = !inner.isList;
        break;
      default: {
        const start = mark.index + 1;
        const end = endOfString(text, start);
        marks.lastIndex = end + 1;
        if (inner?.isKeyNext) {
          inner.key = text.slice(start, end);
          inner.isKeyNext = false;
        } else if (
          (open.length === 3 || (open.length === 4 && inner?.isList)) &&
          open[0]?.key === "cells" &&
          open[1]?.isList &&
          open[2]?.key === "source"
        ) {
          yield { cell: open[1].index, start, end };
        }
      }
    }
  }
}

/** The closing quote of a string that begins at `start`. */
function endOfString(text: string, start: number): number {
  for (let at = text.indexOf('"', start); at !== -1; at = text.indexOf('"', at + 1)) {
    let first = at;
    while (text[first - 1] === "\\") first -= 1;
    if ((at - first) % 2 === 0) return at;
  }
  return text.length;
}

/** Adds a run for each stretch without marks and for each mark. */
function decode(text: string, start: number, end: number, codeAt: number, runs: Run[]): string {
  const parts: string[] = [];
  let code = codeAt;
  const add = (part: string, file: number, width: number) => {
    if (part === "") return;
    runs.push({ code, file, width });
    parts.push(part);
    code += part.length;
  };
  let at = start;
  for (let mark = text.indexOf("\\", at); mark !== -1 && mark < end; mark = text.indexOf("\\", at)) {
    add(text.slice(at, mark), at, 1);
    const width = text[mark + 1] === "u" ? 6 : 2;
    add(JSON.parse(`"${text.slice(mark, mark + width)}"`) as string, mark, width);
    at = mark + width;
  }
  add(text.slice(at, end), at, 1);
  return parts.join("");
}

function placeIn(runs: readonly Run[], offset: number): { at: number; width: number } {
  let low = 0;
  let high = runs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((runs[middle]?.code ?? 0) <= offset) low = middle + 1;
    else high = middle;
  }
  const run = runs[low - 1];
  return run === undefined ? { at: 0, width: 0 } : { at: run.file + (offset - run.code) * run.width, width: run.width };
}
