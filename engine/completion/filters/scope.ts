// Several lines end where the block does that they began in.
import { lineCommentOf, scanBrackets } from "./bracketScan.ts";
import { type Filter, indentationOf, type Surroundings, withText } from "./filter.ts";

const CLOSERS_ONLY = /^\s*(?:[)\]}]+[;,]?|end)\s*$/;

export const scope: Filter = {
  name: "scope-end",
  apply: (offer, around) => {
    const lines = offer.text.split("\n");
    const end = lines.findIndex((_, n) => n > 0 && isOutside(lines, n, around));
    if (end === -1) return offer;
    const isItsCloser = CLOSERS_ONLY.test(lines[end] ?? "") && closesWhatWasOpened(lines, end, around);
    return withText(offer, lines.slice(0, isItsCloser ? end + 1 : end).join("\n"));
  },
};

/** A line with less indentation than the first whole one of the offer, or than the cursor's own. */
function isOutside(lines: readonly string[], n: number, around: Surroundings): boolean {
  const line = lines[n] ?? "";
  if (line.trim() === "") return false;
  const own = indentationOf(around.lineBefore + (lines[0] ?? "")).length;
  const body = lines.slice(1).find((each) => each.trim() !== "") ?? "";
  const startsBlock = around.lineBefore.trim() !== "" && indentationOf(body).length > own;
  return indentationOf(line).length < (startsBlock ? indentationOf(body).length : own);
}

/** The bracket stands open in the offer's lines before, or at the end of the cursor's line. */
function closesWhatWasOpened(lines: readonly string[], end: number, around: Surroundings): boolean {
  const text = around.lineBefore + lines.slice(0, end).join("\n");
  const isKeyword = (lines[end] ?? "").trim() === "end";
  return isKeyword || scanBrackets(text, lineCommentOf(around), "([{").unclosed.length > 0;
}
