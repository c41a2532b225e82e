// What was retrieved while the person types on in one place. Every keystroke changes the query a little; other candidates
// would change the beginning of the reader's input, and with it everything the reader has already read.
import type { Candidate, Mode } from "../domain.ts";
import type { Cursor } from "./prompt.ts";

/** The cursor may move this many lines before the query window is a new one; the window itself has twenty. */
const NEAR_LINES = 8;

/** Two files in turn, in two modes. */
const CAPACITY = 4;

export interface Found {
  readonly candidates: readonly Candidate[];
  /** Entity names from them. */
  readonly names: readonly string[];
}

interface Kept {
  readonly path: string;
  readonly mode: Mode;
  readonly scope: string;
  readonly line: number;
  /** Of the index. */
  readonly generation: number;
  readonly found: Found;
}

export class StickyCandidates {
  readonly #generation: () => number;
  #kept: Kept[] = [];

  /** `generation` gives another number after every change of the index. */
  constructor(generation: () => number) {
    this.#generation = generation;
  }

  /** What was retrieved last for this mode near the cursor, in the same scope and the same index. */
  find(cursor: Cursor, mode: Mode): Found | undefined {
    const { scope, line } = placeOf(cursor);
    const generation = this.#generation();
    return this.#kept.find(
      (kept) =>
        kept.path === cursor.path &&
        kept.mode === mode &&
        kept.scope === scope &&
        kept.generation === generation &&
        Math.abs(kept.line - line) <= NEAR_LINES,
    )?.found;
  }

  add(cursor: Cursor, mode: Mode, { candidates, names }: Found): void {
    const generation = this.#generation();
    const others = this.#kept.filter((kept) => kept.path !== cursor.path || kept.mode !== mode);
    this.#kept = [
      { path: cursor.path, mode, generation, found: { candidates, names }, ...placeOf(cursor) },
      ...others,
    ].slice(0, CAPACITY);
  }
}

/** Levels of indentation that tell a scope: a class and its method, or a function and its first block. */
const SCOPE_LEVELS = 2;

/** The cursor's line, and the outermost lines it stands under by indentation. Works in every language, parsed or not. */
function placeOf({ text, offset }: Cursor): { readonly scope: string; readonly line: number } {
  const lines = text.slice(0, offset).split("\n");
  const line = lines.length - 1;
  const headers: string[] = [];
  let indentation = indentationOf(lines[line] ?? "");
  for (let above = line - 1; above >= 0 && indentation > 0; above -= 1) {
    const candidate = lines[above] ?? "";
    if (candidate.trim() === "" || indentationOf(candidate) >= indentation) continue;
    indentation = indentationOf(candidate);
    headers.unshift(candidate.trim());
  }
  return { scope: headers.slice(0, SCOPE_LEVELS).join("\n"), line };
}

function indentationOf(line: string): number {
  return line.length - line.trimStart().length;
}
