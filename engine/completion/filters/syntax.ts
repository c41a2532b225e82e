// The last word on brackets, strings and keywords has the language's own grammar.
import { type Filter, type Offer, withText } from "./filter.ts";

/** Each try costs a parse. */
const MAX_TRIES = 6;

export const syntax: Filter = {
  name: "syntax",
  apply: (offer, { isSound, parsesWith }) => {
    if (!isSound || parsesWith(offer) !== false) return offer;
    return shorter(offer).find((fewer) => parsesWith(fewer) !== false);
  },
};

/** The offer without its last line, its last two lines and so on. */
function shorter(offer: Offer): Offer[] {
  const lines = offer.text.split("\n");
  const tries = lines.slice(1).map((_, n) =>
    withText(
      offer,
      lines
        .slice(0, lines.length - 1 - n)
        .join("\n")
        .trimEnd(),
    ),
  );
  return tries.filter(({ text }) => text.trim() !== "").slice(0, MAX_TRIES);
}
