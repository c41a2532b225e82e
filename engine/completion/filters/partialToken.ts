// A generation that ended at its budget ended anywhere: of several lines the last is dropped, of one line its last word.
import { type Filter, withText } from "./filter.ts";

export const partialToken: Filter = {
  name: "partial-token",
  apply: (offer, around) => {
    if (!around.isCutShort) return offer;
    const lastBreak = offer.text.lastIndexOf("\n");
    const whole = lastBreak === -1 ? "" : offer.text.slice(0, lastBreak);
    if (whole.trim() !== "") return withText(offer, whole);
    return withText(offer, offer.text.replace(/[\p{L}\p{N}_$]+$/u, ""));
  },
};
