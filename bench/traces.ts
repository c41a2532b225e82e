// Edit traces made from real files: one to five lines taken out and typed back, key by key, in a person's rhythm.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { normalOf, randomOf } from "./random.ts";

/** One change of the document: characters inserted at the cursor, or the one before it deleted. */
export interface Key {
  readonly at: number;
  readonly kind: "insert" | "delete";
  /** One character, or a line break with the indentation an editor adds. */
  readonly text: string;
}

export interface Trace {
  readonly path: string;
  /** The file around what is typed. */
  readonly before: string;
  readonly after: string;
  readonly typed: string;
  readonly keys: readonly Key[];
}

/**
 * Milliseconds between keys, lognormal: Dhakal et al. 2018 (136 million keystrokes) give a mean of 239 and a deviation of
 * 112 over people; code is no slower inside a word and has long pauses at a line's end.
 */
const TYPING = {
  medianMs: 200,
  spread: 0.45,
  lineEndMedianMs: 900,
  lineEndSpread: 0.6,
  /** Behind a sign such as `(`, `=` or `.` people think a little. */
  signMedianMs: 320,
  typoShare: 0.02,
  typoSeenMs: 350,
} as const;

/** Shares of traces of one to five lines. */
const LINES = [0.7, 0.14, 0.08, 0.05, 0.03];
const MOST_LINE_CHARS = 56;

export async function drawTraces(root: string, paths: readonly string[], n: number, seed: number): Promise<Trace[]> {
  const random = randomOf(seed);
  const starts: { path: string; text: string; line: number; lines: number; key: number }[] = [];
  for (const path of paths) {
    const text = await readFile(join(root, path), "utf8");
    const all = text.split("\n");
    for (let line = 2; line < all.length - 1; line += 1) {
      const lines = 1 + LINES.findIndex(sumAbove(random()));
      const wanted = all.slice(line, line + lines);
      if (wanted.length === lines && wanted.every(isTyped)) starts.push({ path, text, line, lines, key: random() });
    }
  }
  return starts
    .sort((a, b) => a.key - b.key)
    .slice(0, n)
    .map(({ path, text, line, lines }) => traceOf(path, text, line, lines, random));
}

function sumAbove(drawn: number): (share: number, n: number) => boolean {
  return (_, n) => LINES.slice(0, n + 1).reduce((sum, each) => sum + each, 0) > drawn || n === LINES.length - 1;
}

/** Code a person would type: neither blank nor a wall of text. */
function isTyped(line: string): boolean {
  return line.trim().length >= 4 && line.length <= MOST_LINE_CHARS && /\p{L}/u.test(line);
}

function traceOf(path: string, text: string, line: number, lines: number, random: () => number): Trace {
  const all = text.split("\n");
  const wanted = all.slice(line, line + lines);
  const indentation = /^\s*/.exec(wanted[0] ?? "")?.[0] ?? "";
  const before = `${all.slice(0, line).join("\n")}\n${indentation}`;
  const after = `\n${all.slice(line + lines).join("\n")}`;
  const typed = wanted.join("\n").slice(indentation.length);
  return { path, before, after, typed, keys: keysOf(typed, random) };
}

/** Keys that leave exactly `typed` behind, the first at 0. */
export function keysOf(typed: string, random: () => number): Key[] {
  const keys: Key[] = [];
  let at = 0;
  const press = (kind: Key["kind"], text: string, pauseMs: number) => {
    at += keys.length === 0 ? 0 : pauseMs;
    keys.push({ at, kind, text });
  };
  for (const part of typed.match(/\n[ \t]*|./gsu) ?? []) {
    const pause = pauseBefore(keys.at(-1)?.text ?? "", part, random);
    if (/^[a-z]$/.test(part) && random() < TYPING.typoShare) {
      press("insert", String.fromCharCode(97 + Math.floor(random() * 26)), pause);
      press("delete", "", lognormal(TYPING.typoSeenMs, TYPING.spread, random));
      press("insert", part, lognormal(TYPING.medianMs, TYPING.spread, random));
    } else {
      press("insert", part, pause);
    }
  }
  return keys;
}

function pauseBefore(last: string, part: string, random: () => number): number {
  if (last.startsWith("\n") || part.startsWith("\n"))
    return lognormal(TYPING.lineEndMedianMs, TYPING.lineEndSpread, random);
  return lognormal(/[=(.,:[{+\-*/]$/.test(last) ? TYPING.signMedianMs : TYPING.medianMs, TYPING.spread, random);
}

function lognormal(median: number, spread: number, random: () => number): number {
  return median * Math.exp(spread * normalOf(random));
}
