// What stands below the cursor already, exactly or nearly: the offer ends before it, or was nothing else.
import { distance } from "fastest-levenshtein";
import { type Filter, hasWord, nearest, withText } from "./filter.ts";

/** Share of letters in which three lines and more may differ and still be the same; Tabby's. */
const NEAR = 0.05;

export const echoBelow: Filter = {
  name: "already-below",
  apply: (offer, around) => {
    const below = bareOf(nearest(around.below));
    const lines = offer.text.split("\n");
    const wholeLine = (n: number) => (n === 0 ? around.lineBefore : "") + (lines[n] ?? "");
    // Only whole lines count, and a lone bracket may well be needed twice.
    const from = lines.findIndex((_, n) => hasWord(wholeLine(n)) && bareOf(wholeLine(n)) === below);
    if (from === 0) return undefined;
    if (from > 0) {
      const kept = lines.slice(0, from).join("\n");
      return kept.trim() === "" ? undefined : withText(offer, kept.trimEnd());
    }
    const said = lines.map((_, n) => wholeLine(n).trim()).filter((line) => line !== "");
    if (said.length < 3) return offer;
    const next = around.below.map((line) => line.trim()).filter((line) => line !== "");
    const block = said.join("\n");
    return distance(block, next.slice(0, said.length).join("\n")) <= block.length * NEAR ? undefined : offer;
  },
};

/** Blind to the kind of quotes, to spaces and to the comma or semicolon at the end. */
function bareOf(line: string): string {
  return line.trim().replace(/\s+/g, " ").replace(/['"`]/g, '"').replace(/[,;]$/, "");
}
