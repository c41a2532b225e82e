// Places in real files where a completion could be asked for: at the beginning of a line of code, or somewhere in it.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { randomOf } from "./random.ts";

export interface Position {
  readonly path: string;
  /** The file without what follows the cursor on its line. */
  readonly text: string;
  readonly offset: number;
  /** What was taken out: the rest of the line. */
  readonly truth: string;
  /** The lines after it, for an offer of several lines. */
  readonly below: string;
  readonly isLineStart: boolean;
}

/** Share of positions at a line's beginning; the others are spread evenly over the line's characters. */
const LINE_STARTS = 1 / 3;
/** Share of the places inside a word that stay there. */
const IN_WORD = 0.3;
const LONGEST_LINE = 200;

/** `n` positions of Python files under `root`, files drawn evenly, no line twice. */
export async function drawPositions(
  root: string,
  paths: readonly string[],
  n: number,
  seed: number,
): Promise<Position[]> {
  const random = randomOf(seed);
  const lines: { path: string; text: string; line: number; key: number }[] = [];
  for (const path of paths) {
    const text = await readFile(join(root, path), "utf8");
    const all = text.split("\n");
    all.forEach((line, number) => {
      if (isCode(line, all[number - 1])) lines.push({ path, text, line: number, key: random() });
    });
  }
  return lines
    .sort((a, b) => a.key - b.key)
    .slice(0, n)
    .map(({ path, text, line }) => positionIn(path, text, line, random));
}

/** RepoEval's rule for its lines: code, no comment, not the file's first, not after a blank line. */
function isCode(line: string, above: string | undefined): boolean {
  const said = line.trim();
  if (said.length < 4 || line.length > LONGEST_LINE || said.startsWith("#") || /^["']{3}/.test(said)) return false;
  return above !== undefined && above.trim() !== "" && /[\p{L}]/u.test(said);
}

function positionIn(path: string, text: string, line: number, random: () => number): Position {
  const lines = text.split("\n");
  const whole = lines[line] ?? "";
  const indentation = /^\s*/.exec(whole)?.[0].length ?? 0;
  const isLineStart = random() < LINE_STARTS;
  const column = isLineStart ? indentation : columnIn(whole, indentation, random);
  return positionAt(path, text, line, column, isLineStart);
}

/** A place inside the line's code. Of those inside a word, most move to its end: there people pause, and are asked for. */
export function columnIn(line: string, indentation: number, random: () => number): number {
  const length = line.trimEnd().length;
  // Fewer than three characters from the end there is nothing worth offering.
  const column = indentation + 1 + Math.floor(random() * Math.max(1, length - indentation - 3));
  const wordRest = /^[\p{L}\p{N}_]+/u.exec(line.slice(column))?.[0].length ?? 0;
  return random() < IN_WORD || column + wordRest > length - 3 ? column : column + wordRest;
}

/** `line` and `column` are 0-based. */
export function positionAt(path: string, text: string, line: number, column: number, isLineStart: boolean): Position {
  const lines = text.split("\n");
  const whole = lines[line] ?? "";
  const before = lines.slice(0, line).map((each) => `${each}\n`);
  const after = lines.slice(line + 1).map((each) => `\n${each}`);
  const head = before.join("") + whole.slice(0, column);
  return {
    path,
    text: head + after.join(""),
    offset: head.length,
    truth: whole.slice(column),
    below: after.join(""),
    isLineStart,
  };
}

/** How an offer compares with what stands there: all of the line's rest, the beginning of it up to a word's end, or not. */
export function compare(offer: string, position: Position): "exact" | "beginning" | "wrong" {
  const said = offer.trimEnd();
  const truth = position.truth.trimEnd();
  const skipped = position.isLineStart ? said.trimStart() : said;
  const wanted = position.isLineStart ? truth.trimStart() : truth;
  if (skipped.trim() === wanted.trim()) return "exact";
  const all = wanted + position.below;
  if (skipped === "" || !all.startsWith(skipped)) return "wrong";
  const isCut = /[\p{L}\p{N}_]$/u.test(skipped) && /^[\p{L}\p{N}_]/u.test(all.slice(skipped.length));
  return isCut ? "wrong" : "beginning";
}
