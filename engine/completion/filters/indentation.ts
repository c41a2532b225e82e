// The file's own indentation: tabs or spaces, no deeper than its place allows, and what stands before the cursor taken off.
import { type Filter, indentationOf, nearest, type Offer, type Surroundings, withText } from "./filter.ts";

/** What a line ends with when the next may stand deeper. */
const OPENS = /(?:[:{([,\\=|&+*/<>?.-]|\b(?:and|or|not|in|is|if|else|do|then|begin|try|return))\s*(?:(?:#|\/\/).*)?$/;
/** Of these, what opens a block of exactly one step; so does the head of a statement that needs no braces. */
const OPENS_BLOCK = /(?:[:{]|^\s*(?:\}?\s*else\s+)?(?:if|for|while|foreach)\b.*\))\s*(?:(?:#|\/\/).*)?$/;
/** Where a line's own block stands from: behind the sign of a union's member, a branch or a list's item, as formatters have it. */
const OUTER = /^\s*(?:[|&?:-]\s+)?/;
/** What an expression of the line above goes on with. */
const GOES_ON = /^\s*(?:[.?:|&]|[-+*/=<>]\s|(?:and|or)\b)/;

export const indentation: Filter = {
  name: "indentation",
  apply: (offer, around) => {
    if (offer.text.trim() === "") return offer;
    const own = inOwnStyle(offer, around);
    if (around.lineBefore.trim() !== "") return withoutDoubledSpace(own, around);
    const flat = notTooDeep(own, around);
    // Less indentation would end the block in which the person has just opened a line.
    if (!flat.text.startsWith(around.lineBefore)) return undefined;
    return withText(flat, flat.text.slice(around.lineBefore.length));
  },
};

/** Leading tabs become the file's spaces, leading spaces its tabs; alignment that fits no step is left as it is. */
function inOwnStyle(offer: Offer, around: Surroundings): Offer {
  const { indentUnit, lineBefore } = around;
  const lines = offer.text.split("\n");
  const isWhole = (n: number) => n > 0 || lineBefore.trim() === "";
  const step = stepOf(lines.filter((_, n) => isWhole(n)));
  const converted = lines.map((line, n) => {
    if (!isWhole(n)) return line;
    const indent = indentationOf(line);
    const rest = line.slice(indent.length);
    if (indentUnit === "\t")
      return /^ +$/.test(indent) && step > 0 ? "\t".repeat(Math.floor(indent.length / step)) + rest : line;
    return indent.replaceAll("\t", indentUnit) + rest;
  });
  return withText(offer, converted.join("\n"));
}

/** Spaces a step of the offer's lines; 0 where they are indented by no common step. */
function stepOf(lines: readonly string[]): number {
  const widths = lines.filter((line) => line.trim() !== "").map((line) => indentationOf(line).length);
  return [4, 2, 3, 8].find((step) => widths.every((width) => width % step === 0)) ?? 0;
}

/** A line stands deeper than the one above only where that one opens something. */
function notTooDeep(offer: Offer, around: Surroundings): Offer {
  const above = nearest(around.above);
  if (above === "") return offer;
  const opensBlock = OPENS_BLOCK.test(above);
  const outer = opensBlock ? (OUTER.exec(above)?.[0] ?? "") : indentationOf(above);
  if ((OPENS.test(above) && !opensBlock) || GOES_ON.test(offer.text)) return offer;
  const deepest = Math.max(outer.length + (opensBlock ? around.indentUnit.length : 0), around.lineBefore.length);
  const excess = indentationOf(offer.text).length - deepest;
  if (excess <= 0) return offer;
  const lines = offer.text.split("\n");
  const canMove = lines.every((line) => line.trim() === "" || indentationOf(line).length >= excess);
  return canMove ? withText(offer, lines.map((line) => line.slice(excess)).join("\n")) : offer;
}

/** Tokens often begin with a space that has been typed already. */
function withoutDoubledSpace(offer: Offer, around: Surroundings): Offer {
  return /[ \t]$/.test(around.lineBefore) ? withText(offer, offer.text.replace(/^[ \t]+/, "")) : offer;
}
