// The last token may hold the first bytes of a character; what decodes to U+FFFD ends the offer.
import { type Filter, withText } from "./filter.ts";

export const brokenCharacters: Filter = {
  name: "broken-characters",
  apply: (offer) => {
    const at = offer.text.indexOf("\uFFFD");
    return at === -1 ? offer : withText(offer, offer.text.slice(0, at));
  },
};
