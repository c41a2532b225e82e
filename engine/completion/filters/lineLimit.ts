// No more lines than were asked for. Blank lines do not count, as in RepoCoder's scorer.
import { type Filter, withText } from "./filter.ts";

export const lineLimit: Filter = {
  name: "line-limit",
  apply: (offer, around) => {
    const lines = offer.text.split("\n");
    let said = 0;
    const until = lines.findIndex((line) => {
      if (line.trim() !== "") said += 1;
      return said === around.maxLines;
    });
    return until === -1 ? offer : withText(offer, lines.slice(0, until + 1).join("\n"));
  },
};
