// A blank line ends a thought: what follows it is another. Continue, Copilot and Cody stop there too.
import { type Filter, withText } from "./filter.ts";

export const blankLine: Filter = {
  name: "blank-line",
  apply: (offer) => withText(offer, offer.text.replace(/(\S[^\n]*)\r?\n[ \t]*\r?\n[\s\S]*$/, "$1")),
};
