// Brackets of a stretch of code, strings and comments left out, without knowing its language.
import type { Surroundings } from "./filter.ts";

export interface OpenBracket {
  readonly bracket: string;
  readonly at: number;
}

export interface BracketScan {
  /** Closers whose openers stand before the text, in order. */
  readonly unopened: readonly OpenBracket[];
  /** Openers that are not closed in the text, outermost first. */
  readonly unclosed: readonly OpenBracket[];
  /** The text ends inside a string that cannot go on in the next line. */
  readonly endsInString: boolean;
}

const CLOSER_OF: Readonly<Record<string, string>> = { "(": ")", "[": "]", "{": "}" };
const CLOSERS = ")]}";

export function closerOf(bracket: string): string {
  return CLOSER_OF[bracket] ?? "";
}

/** `//` begins a comment where lines end as in C; elsewhere it divides. */
export function lineCommentOf(around: Surroundings): "//" | "#" {
  const lines = [...around.above, ...around.below];
  return lines.some((line) => /^\s*\/\/|[;{]\s*$/.test(line)) ? "//" : "#";
}

/** `counts` says which kinds of bracket matter, by their openers. */
export function scanBrackets(text: string, lineComment: "//" | "#", counts: string): BracketScan {
  const unopened: OpenBracket[] = [];
  const unclosed: OpenBracket[] = [];
  let endsInString = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at] ?? "";
    if (text.startsWith(lineComment, at)) {
      at = endOfLine(text, at);
    } else if (text.startsWith("/*", at) && lineComment === "//") {
      at = endOf(text, "*/", at + 2);
    } else if (text.startsWith('"""', at) || text.startsWith("'''", at)) {
      at = endOf(text, text.slice(at, at + 3), at + 3);
    } else if (char === '"' || char === "'" || char === "`") {
      const end = isLifetime(text, at) ? undefined : endOfString(text, at, char);
      if (end !== undefined) at = end;
      // A lone apostrophe is a lifetime, a prime or a letter of prose.
      else if (char !== "'" && !text.slice(at).includes("\n")) endsInString = true;
    } else if (counts.includes(char) && char in CLOSER_OF) {
      unclosed.push({ bracket: char, at });
    } else if (CLOSERS.includes(char) && counts.includes(openerOf(char))) {
      if (closerOf(unclosed.at(-1)?.bracket ?? "") === char) unclosed.pop();
      else unopened.push({ bracket: char, at });
    }
  }
  return { unopened, unclosed, endsInString };
}

function openerOf(closer: string): string {
  return "([{"[CLOSERS.indexOf(closer)] ?? "";
}

/** Rust's `&'a` and `<'a`. */
function isLifetime(text: string, at: number): boolean {
  return text[at] === "'" && /[&<]/.test(text[at - 1] ?? "");
}

/** Offset of the last character before the line's end. */
function endOfLine(text: string, from: number): number {
  const at = text.indexOf("\n", from);
  return at === -1 ? text.length : at;
}

/** Offset of the last character of `mark`; the text's end where it does not come. */
function endOf(text: string, mark: string, from: number): number {
  const at = text.indexOf(mark, from);
  return at === -1 ? text.length : at + mark.length - 1;
}

/** Offset of the closing quote; undefined where the string does not end. Only back-quoted strings go over lines. */
function endOfString(text: string, from: number, quote: string): number | undefined {
  for (let at = from + 1; at < text.length; at += 1) {
    const char = text[at];
    if (char === "\\") at += 1;
    else if (char === quote) return at;
    else if (char === "\n" && quote !== "`") return undefined;
  }
  return undefined;
}
