// The file's own line breaks.
import { type Filter, withText } from "./filter.ts";

export const lineBreaks: Filter = {
  name: "line-breaks",
  apply: (offer, around) => withText(offer, offer.text.replace(/\r?\n/g, around.lineBreak)),
};
