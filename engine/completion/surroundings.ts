// Document and cursor -> what the filters see of them.
import type { LiveSyntax, Place } from "../languages/liveSyntax.ts";
import { NEARBY_LINES, type Offer, type Surroundings } from "./filters/filter.ts";
import type { Cursor } from "./prompt.ts";

export interface Circumstances {
  readonly maxLines: number;
  readonly isCutShort: boolean;
  readonly stopTokens: readonly string[];
  readonly syntax?: LiveSyntax | undefined;
  /** Absent where there is no tree. */
  readonly place?: Place | undefined;
}

/** Lines that are looked at to learn how a file is indented. */
const SAMPLED_LINES = 400;

const PROSE = /\.(?:md|markdown|mdx|rst|txt|adoc|tex|org)$/i;

export function surroundingsOf(cursor: Cursor, circumstances: Circumstances): Surroundings {
  const { text, offset } = cursor;
  const { maxLines, isCutShort, stopTokens, syntax, place } = circumstances;
  const above = lastLines(text, offset, SAMPLED_LINES);
  const lineBefore = above.pop() ?? "";
  const [lineAfter = "", ...below] = firstLines(text, offset, NEARBY_LINES + 1);
  return {
    lineBefore,
    lineAfter,
    above: above.slice(-NEARBY_LINES).reverse(),
    below,
    maxLines,
    isCutShort,
    stopTokens,
    isProse: PROSE.test(cursor.path) || place?.inside !== undefined,
    lineBreak: text.includes("\r\n") ? "\r\n" : "\n",
    indentUnit: indentUnitOf([...above, lineBefore, ...below]),
    isSound: syntax !== undefined && isSound(cursor, syntax),
    parsesWith: parserOf(cursor, syntax),
  };
}

/** The document with the offer accepted. */
export function accepted({ text, offset }: Cursor, offer: Offer): string {
  return text.slice(0, offset) + offer.text + text.slice(offset + offer.replaceRight);
}

function isSound({ text, offset }: Cursor, syntax: LiveSyntax): boolean {
  const lineStart = text.lastIndexOf("\n", offset - 1) + 1;
  const lineEnd = text.indexOf("\n", offset);
  const withoutLine = text.slice(0, lineStart) + (lineEnd === -1 ? "" : text.slice(lineEnd));
  return syntax.errorsIn(text) === 0 || syntax.errorsIn(withoutLine) === 0;
}

/** Several filters ask about the same offer; each answer costs a parse. */
function parserOf(cursor: Cursor, syntax: LiveSyntax | undefined): Surroundings["parsesWith"] {
  const known = new Map<string, boolean | undefined>();
  return (offer) => {
    const document = accepted(cursor, offer);
    if (!known.has(document)) {
      const errors = syntax?.errorsIn(document);
      known.set(document, errors === undefined ? undefined : errors === 0);
    }
    return known.get(document);
  };
}

/** At most `count` + 1 lines that end at `offset`, the cursor's last. */
function lastLines(text: string, offset: number, count: number): string[] {
  let from = offset;
  for (let lines = 0; lines <= count && from > 0; lines += 1) from = text.lastIndexOf("\n", from - 1);
  return text.slice(Math.max(0, from + (from > 0 ? 1 : 0)), offset).split(/\r?\n/);
}

/** At most `count` lines that begin at `offset`. */
function firstLines(text: string, offset: number, count: number): string[] {
  let to = offset - 1;
  for (let lines = 0; lines < count; lines += 1) {
    to = text.indexOf("\n", to + 1);
    if (to === -1) return text.slice(offset).split(/\r?\n/);
  }
  return text.slice(offset, to).split(/\r?\n/);
}

/** A tab, or as many spaces as lines most often stand deeper than the line above them; four where nothing is indented. */
export function indentUnitOf(lines: readonly string[]): string {
  const steps = new Map<number, number>();
  let tabs = 0;
  let spaces = 0;
  let before = 0;
  for (const line of lines) {
    if (line.startsWith("\t")) tabs += 1;
    if (line.trim() === "") continue;
    const width = /^ */.exec(line)?.[0].length ?? 0;
    if (width > 0) spaces += 1;
    const step = width - before;
    if (step > 1 && step <= 8) steps.set(step, (steps.get(step) ?? 0) + 1);
    before = width;
  }
  if (tabs > spaces) return "\t";
  const [[width = 4] = []] = [...steps].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
  return " ".repeat(width);
}
