// Nothing but white space is no offer.
import type { Filter } from "./filter.ts";

export const whitespaceOnly: Filter = {
  name: "empty",
  apply: (offer) => (offer.text.trim() === "" ? undefined : offer),
};
