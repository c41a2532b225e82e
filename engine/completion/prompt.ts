// Document and cursor -> prompt: the windows around the cursor, cut to the pack's budget.
import type { Prompt } from "../domain.ts";
import type { NoCompletion } from "../errors.ts";

export interface Cursor {
  /** Relative to the workspace folder. */
  readonly path: string;
  readonly text: string;
  /** UTF-16 code units from the start of `text`. */
  readonly offset: number;
}

export interface PromptBudget {
  /** In tokens. */
  readonly left: number;
  readonly right: number;
}

/** Lines of the query window, the cursor's own among those above: what the encoder was trained to be asked with. */
const QUERY_LINES_ABOVE = 14;
const QUERY_LINES_BELOW = 6;

/**
 * The left window starts at a multiple of this many lines, so that a new line does not always move it and the reader's
 * cache keeps its prefix. More would waste budget.
 */
const LEFT_STEP_LINES = 4;

/** Share of the left budget kept for the cursor's own line, so that typing on it does not move the window's start. */
const OWN_LINE_SHARE = 1 / 8;

/** No token of code is longer on average; bounds what is tokenised to find the cut. */
const MAX_CHARS_PER_TOKEN = 8;

export function buildPrompt(
  cursor: Cursor,
  budget: PromptBudget,
  countTokens: (text: string) => number,
): Prompt | NoCompletion {
  const { path, text, offset } = cursor;
  if (offset < 0 || offset > text.length) return { reason: "cursor-past-end" };
  const before = text.slice(0, offset);
  const after = text.slice(offset);
  if (before.trim() === "" && after.trim() === "") return { reason: "empty-document" };
  return {
    path,
    prefix: leftWindow(withoutIndentation(before), budget.left, countTokens),
    suffix: rightWindow(after, budget.right, countTokens),
    query: queryWindow(before, after),
  };
}

/**
 * Where the cursor stands behind nothing but indentation, the reader starts from the line's beginning: it knows lines with
 * their indentation, and tokens that join indentation and code. Post-processing takes the indentation off again.
 */
export function withoutIndentation(before: string): string {
  return before.replace(/(^|\n)[ \t]+$/, "$1");
}

/** The last lines of `before` within `budget` tokens; a single longer line is cut at its left. */
function leftWindow(before: string, budget: number, countTokens: (text: string) => number): string {
  const lines = before.split("\n");
  const last = lines.length - 1;
  const count = (line: string) => countTokens(tail(line, budget * MAX_CHARS_PER_TOKEN));
  let room = budget - Math.max(count(lines[last] ?? ""), Math.ceil(budget * OWN_LINE_SHARE));
  let start = last;
  while (start > 0) {
    room -= count(`${lines[start - 1] ?? ""}\n`);
    if (room < 0) break;
    start -= 1;
  }
  const stepped = Math.ceil(start / LEFT_STEP_LINES) * LEFT_STEP_LINES;
  return cutLeft(lines.slice(stepped < last ? stepped : start).join("\n"), budget, countTokens);
}

/** The first lines of `after` within `budget` tokens. */
function rightWindow(after: string, budget: number, countTokens: (text: string) => number): string {
  // The reader ends its line itself, so the break after an otherwise empty rest of line belongs to what it writes.
  const rest = after.replace(/^[ \t]*\r?\n/, "");
  const lines = rest.split("\n");
  const kept: string[] = [];
  let tokens = 0;
  for (const line of lines) {
    tokens += countTokens(`${line.slice(0, budget * MAX_CHARS_PER_TOKEN)}\n`);
    if (tokens > budget) break;
    kept.push(line);
  }
  return kept.length === lines.length ? rest : kept.map((line) => `${line}\n`).join("");
}

function queryWindow(before: string, after: string): string {
  const above = before.split("\n").slice(-QUERY_LINES_ABOVE);
  const below = after.split("\n").slice(0, QUERY_LINES_BELOW);
  return above.join("\n") + below.join("\n");
}

function tail(text: string, length: number): string {
  return text.length <= length ? text : text.slice(-length);
}

/** Drops code points at the left until `text` fits. */
function cutLeft(text: string, budget: number, countTokens: (text: string) => number): string {
  let kept = text;
  while (countTokens(kept) > budget) {
    const points = [...kept];
    kept = points.slice(Math.max(1, Math.ceil(points.length / 8))).join("");
  }
  return kept;
}
