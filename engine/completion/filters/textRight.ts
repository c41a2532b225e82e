// Text right of the cursor that the offer writes again is replaced, so that brackets, quotes and arguments are not doubled.
import { lineCommentOf, scanBrackets } from "./bracketScan.ts";
import { type Filter, type Offer, type Surroundings, withText } from "./filter.ts";

const CLOSERS = /^[\s)\]}"'`,:;{]*$/;

export const textRight: Filter = {
  name: "text-right-of-cursor",
  apply: (offer, around) => {
    const right = around.lineAfter.trimEnd();
    if (right.trim() === "") return offer;
    const [first = "", ...rest] = offer.text.split("\n");
    if (first.endsWith(right.trimStart()) && rest.length === 0)
      return first.trim() === right.trim() ? undefined : { ...offer, replaceRight: right.length };
    if (CLOSERS.test(right)) return aroundClosers(offer, right, around);
    // Inside code only one line that flows into it can be meant.
    if (rest.length > 0) return aroundCode(withText(offer, first), right);
    return aroundCode(offer, right);
  },
};

/** The offer closes itself what the editor closed in advance: `print(│)` and `a): b`. */
function aroundClosers(offer: Offer, right: string, around: Surroundings): Offer | undefined {
  const { unopened } = scanBrackets(offer.text, lineCommentOf(around), "([{");
  const closers = right.replace(/[^)\]}]/g, "");
  const closed = unopened.map(({ bracket }) => bracket).join("");
  const wroteThem = closers !== "" && closed.startsWith(closers);
  const endsQuote = /^["'`]/.test(right.trimStart()) && endsString(offer.text, right.trimStart()[0] ?? "");
  if (wroteThem || endsQuote) return { ...offer, replaceRight: right.length };
  // Several lines would push the closers behind the last of them; that is right only where they close a block.
  if (offer.text.includes("\n") && !/^\s*\}/.test(right)) return undefined;
  return offer;
}

/** The offer's quotes close the string that stands open at the cursor. */
function endsString(text: string, quote: string): boolean {
  return (text.split(quote).length - 1) % 2 === 1;
}

/** The longest end of the offer that the code at the right begins with is there already. */
function aroundCode(offer: Offer, right: string): Offer | undefined {
  const flat = right.trimStart();
  for (let length = Math.min(offer.text.length, flat.length); length > 0; length -= 1) {
    if (!offer.text.endsWith(flat.slice(0, length))) continue;
    const kept = offer.text.slice(0, offer.text.length - length);
    return kept.trim() === "" ? undefined : withText(offer, kept.trimEnd());
  }
  return offer;
}
