// A reader that lost its way repeats itself to the end: the same letters, words or lines over and over.
import { type Filter, hasWord, withText } from "./filter.ts";

/** Copilot's limits, in words and signs: at least `length` of them at the end with a period of at most `period`. */
const LOOPS: readonly { readonly period: number; readonly length: number }[] = [
  { period: 1, length: 10 },
  { period: 10, length: 30 },
  { period: 20, length: 45 },
  { period: 30, length: 60 },
];

/** So many equal lines in a row are one line said once. */
const EQUAL_LINES = 3;

export const repetition: Filter = {
  name: "repetition",
  apply: (offer) => {
    const lines = offer.text.split("\n");
    const from = lines.findIndex((line, n) => hasWord(line) && isRun(lines, n));
    if (from !== -1) return withText(offer, lines.slice(0, from + 1).join("\n"));
    return hasStuckLetters(offer.text) || hasLoop(offer.text) ? undefined : offer;
  },
};

function isRun(lines: readonly string[], from: number): boolean {
  const run = lines.slice(from, from + EQUAL_LINES).map((line) => line.trim());
  return run.length === EQUAL_LINES && run.every((line) => line === run[0]);
}

/** Rulers such as `# -----` are meant. */
function hasStuckLetters(text: string): boolean {
  const [, unit] = /(.{1,20}?)\1{7,}.{0,19}$/su.exec(text) ?? [];
  return unit !== undefined && hasWord(unit);
}

/** What may close a loop without ending it. */
const CLOSERS = /[)\]}>;,"'`]*$/;

/** Reversed, so that the loop stands at the start, where Knuth, Morris and Pratt's table finds its period. */
function hasLoop(text: string): boolean {
  const words = (text.replace(CLOSERS, "").match(/[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? []).reverse();
  return LOOPS.some(({ period, length }) => {
    const tail = words.slice(0, length);
    return tail.length === length && tail.some(hasWord) && periodOf(tail) <= period;
  });
}

function periodOf(words: readonly string[]): number {
  const borders = [0];
  for (let n = 1; n < words.length; n += 1) {
    let border = borders[n - 1] ?? 0;
    while (border > 0 && words[n] !== words[border]) border = borders[border - 1] ?? 0;
    borders.push(words[n] === words[border] ? border + 1 : 0);
  }
  return words.length - (borders.at(-1) ?? 0);
}
