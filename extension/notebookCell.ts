// A line of a notebook's file -> the cell it belongs to. No editor here, so that tests can read it.

/**
 * Index among all cells, of the one that a 1-based line of the file lies in; undefined where there is none. Editors write a
 * cell over many lines; of several cells on one line it is the last.
 */
export function cellAt(json: string, line: number): number | undefined {
  let depth = 0;
  let linesLeft = line - 1;
  let key = "";
  let cells = 0;
  for (let at = 0; at < json.length; at += 1) {
    switch (json[at]) {
      case '"': {
        const end = endOfString(json, at);
        if (depth === 1) key = json.slice(at + 1, end);
        at = end;
        break;
      }
      case "\n":
        if (linesLeft === 0) return cells === 0 ? undefined : cells - 1;
        linesLeft -= 1;
        break;
      case "{":
        if (depth === 2 && key === "cells") cells += 1;
        depth += 1;
        break;
      case "[":
        depth += 1;
        break;
      case "}":
      case "]":
        depth -= 1;
    }
  }
  return cells === 0 ? undefined : cells - 1;
}

/** Offset of the quote that ends the string which begins at `start`. */
function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json[at] !== '"') at += json[at] === "\\" ? 2 : 1;
  return at;
}
