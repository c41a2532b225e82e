// Cuts rows that have no syntax to open: at blank lines and shallow indentation, else wherever the limit falls; and
// cuts one line that alone is over the limit.
import type { Span } from "../domain.ts";
import type { Rows } from "./rows.ts";

/** Rows `[from, to)` -> consecutive parts that fit, except a part of one row that does not. */
export function cutText(rows: Rows, from: number, to: number, maxTokens: number): { from: number; to: number }[] {
  const parts: { from: number; to: number }[] = [];
  for (let start = from; start < to; ) {
    let end = start + 1;
    while (end < to && rows.tokens(start, end + 1) <= maxTokens) end += 1;
    const cut = end === to ? to : bestCut(rows, start, end);
    parts.push({ from: start, to: cut });
    start = cut;
  }
  return parts;
}

/** The row in the second half of `(start, end]` before which a cut hurts least. */
function bestCut(rows: Rows, start: number, end: number): number {
  const half = rows.tokens(start, end) / 2;
  let best = end;
  for (let cut = end - 1; cut > start && rows.tokens(start, cut) >= half; cut--) {
    if (isBetter(rows, cut, best)) best = cut;
  }
  return best;
}

function isBetter(rows: Rows, cut: number, best: number): boolean {
  const gap = Number(isAfterBlank(rows, cut)) - Number(isAfterBlank(rows, best));
  return gap !== 0 ? gap > 0 : rows.at(cut).indent < rows.at(best).indent;
}

function isAfterBlank(rows: Rows, index: number): boolean {
  return rows.at(index).line - rows.at(index - 1).line > 1;
}

/** A line over the limit -> consecutive spans that fit, never cut inside a surrogate pair. */
export function cutLine(
  text: string,
  line: Span,
  countTokens: (text: string) => number,
  maxTokens: number,
): (Span & { tokens: number })[] {
  const spans: (Span & { tokens: number })[] = [];
  for (let start = line.start; start < line.end; ) {
    let end = wholePair(text, start, Math.min(line.end, start + 4 * maxTokens));
    let tokens = countTokens(text.slice(start, end));
    while (tokens > maxTokens && end - start > 2) {
      end = wholePair(text, start, start + Math.floor((end - start) * 0.7));
      tokens = countTokens(text.slice(start, end));
    }
    spans.push({ start, end, tokens });
    start = end;
  }
  return spans;
}

/** Moves `end` back so that it does not split a pair, but past at least one character. */
function wholePair(text: string, start: number, end: number): number {
  const isSplit = isHighSurrogate(text.charCodeAt(end - 1)) && isLowSurrogate(text.charCodeAt(end));
  const whole = isSplit ? end - 1 : end;
  return whole > start ? whole : Math.min(text.length, start + 2);
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff;
}
