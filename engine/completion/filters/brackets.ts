// Brackets that balance with what stands around the cursor: none closed twice, none left open.
import { closerOf, lineCommentOf, scanBrackets } from "./bracketScan.ts";
import { type Filter, NEARBY_LINES, type Offer, type Surroundings, withText } from "./filter.ts";

export const brackets: Filter = {
  name: "brackets",
  apply: (offer, around) => {
    // A bracket may be opened below or above what is in sight here; the grammar sees all of it.
    if (around.isProse || around.parsesWith(offer) === true) return offer;
    const kept = withoutExcess(offer, around);
    return kept.text.trim() === "" ? undefined : closed(kept, around);
  },
};

/** Braces span whole files; they count only where all of them are in sight. */
function countedIn(around: Surroundings): string {
  const seesAll = around.above.length < NEARBY_LINES && around.below.length < NEARBY_LINES;
  return seesAll ? "([{" : "([";
}

/** Closers behind the cursor whose openers are missing there. */
function neededBehind(offer: Offer, around: Surroundings): number {
  const after = [around.lineAfter.slice(offer.replaceRight), ...around.below].join("\n");
  return scanBrackets(after, lineCommentOf(around), countedIn(around)).unopened.length;
}

/** Openers that stand open after `lineBefore`, or only those of the lines above it. */
function openBefore(around: Surroundings, lineBefore = around.lineBefore): number {
  const before = [...around.above].reverse().concat(lineBefore).join("\n");
  return scanBrackets(before, lineCommentOf(around), countedIn(around)).unclosed.length;
}

/**
 * Closers that close nothing go: alone where only signs follow them, else with all that follows. What the offer opens
 * again, as `} else {` does, serves the closers behind.
 */
function withoutExcess(offer: Offer, around: Surroundings): Offer {
  const open = openBefore(around);
  const needed = neededBehind(offer, around);
  let { text } = offer;
  for (;;) {
    const { unopened, unclosed } = scanBrackets(text, lineCommentOf(around), countedIn(around));
    const excess = unopened[Math.max(0, open - Math.max(0, needed - unclosed.length))];
    if (excess === undefined) return withText(offer, text);
    const rest = text.slice(excess.at + 1);
    text = text.slice(0, excess.at).trimEnd() + (/^[\s)\]}:;{,]*$/.test(rest) ? rest : "");
  }
}

/**
 * Of several lines those up to the last balanced one; a single line is closed as the editor closes what is typed. What
 * stands open on the cursor's own line counts: the offer ends that line.
 */
function closed(offer: Offer, around: Surroundings): Offer {
  const lacking = Math.max(0, neededBehind(offer, around) - openBefore(around, ""));
  const openIn = (text: string) =>
    scanBrackets(around.lineBefore + text, lineCommentOf(around), countedIn(around)).unclosed;
  const unclosed = openIn(offer.text);
  if (unclosed.length <= lacking) return offer;
  const lines = offer.text.split("\n");
  for (let count = lines.length - 1; count > 0; count -= 1) {
    const fewer = lines.slice(0, count).join("\n");
    if (fewer.trim() !== "" && openIn(fewer).length <= lacking) return withText(offer, fewer.trimEnd());
  }
  const missing = unclosed
    .slice(lacking)
    .reverse()
    .map(({ bracket }) => closerOf(bracket));
  return withText(offer, offer.text.replace(/,?\s*$/, "") + missing.join(""));
}
