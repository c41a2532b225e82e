// On an empty line the break that ends it is there already; behind code a break is where the next line begins.
import { type Filter, withText } from "./filter.ts";

export const leadingBlankLines: Filter = {
  name: "leading-blank-lines",
  apply: (offer, around) =>
    around.lineBefore.trim() === "" ? withText(offer, offer.text.replace(/^(?:[ \t]*\r?\n)+/, "")) : offer,
};
