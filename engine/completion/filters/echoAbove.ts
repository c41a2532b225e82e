// What stands right above the cursor, said again.
import { distance } from "fastest-levenshtein";
import { type Filter, hasWord, nearest, type Surroundings } from "./filter.ts";

/** Shorter lines, such as `pass` or `i += 1`, are repeated for good reasons. */
const MIN_LENGTH = 12;
/** Share of letters in which a block may differ and still be the same one; Tabby's. */
const NEAR = 0.05;
/** A block that stood a little farther up counts too. */
const REACH = 40;

export const echoAbove: Filter = {
  name: "echo-above",
  apply: (offer, around) => {
    const lines = wordedLines((around.lineBefore + offer.text).split("\n"));
    const [first = ""] = lines;
    if (lines.length === 1) {
      const isEcho = first.length >= MIN_LENGTH && hasWord(first) && first === nearest(around.above).trim();
      return isEcho ? undefined : offer;
    }
    return isBlockAbove(lines, around) ? undefined : offer;
  },
};

function isBlockAbove(lines: readonly string[], around: Surroundings): boolean {
  const above = wordedLines(around.above.slice(0, REACH)).reverse();
  const block = lines.join("\n");
  // Lines that differ in one name stand in rows all over code; three of them that do not are a copy.
  const limit = lines.length >= 3 ? block.length * NEAR : 0;
  for (let from = 0; from + lines.length <= above.length; from += 1) {
    const isNext = from + lines.length === above.length;
    const other = above.slice(from, from + lines.length).join("\n");
    if (block === other && (isNext || lines.length >= 3)) return true;
    if (isNext && Math.abs(block.length - other.length) <= limit && distance(block, other) <= limit) return true;
  }
  return false;
}

function wordedLines(lines: readonly string[]): string[] {
  return lines.map((line) => line.trim()).filter((line) => line !== "");
}
