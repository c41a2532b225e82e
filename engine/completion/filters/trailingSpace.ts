// White space at the end of the offer is never wanted; inside it belongs to the text.
import { type Filter, withText } from "./filter.ts";

export const trailingSpace: Filter = {
  name: "trailing-space",
  apply: (offer) => withText(offer, offer.text.trimEnd()),
};
