// A reader's control tokens that got into its text end it: FIM, end of text, file separators.
import { type Filter, withText } from "./filter.ts";

/** The shapes in use: `<|fim_middle|>`, `<fim_prefix>`, `<｜fim▁hole｜>`, `<PRE>`, `</s>`, `[INST]`, `<EOT>`. */
const LEAKED =
  /<\|[\w▁]{2,24}\|?>|<｜[^｜\n]{2,24}｜>|<\/?(?:fim_(?:prefix|middle|suffix|pad)|file_sep|reponame|filename|gh_stars|endoftext)>|<(?:PRE|SUF|MID|EOT|END|FILL_ME)>|<\/?s>(?=\s*$)|\[\/?INST\]/u;

export const stopTokens: Filter = {
  name: "stop-tokens",
  apply: (offer, around) => {
    const ends = around.stopTokens.map((token) => offer.text.indexOf(token)).filter((at) => at !== -1);
    const leaked = LEAKED.exec(offer.text)?.index;
    if (leaked !== undefined) ends.push(leaked);
    if (ends.length > 0) return withText(offer, offer.text.slice(0, Math.min(...ends)));
    // The budget may end inside a control token that is written letter by letter.
    return around.isCutShort ? withText(offer, offer.text.replace(/<\|[\w▁]*\|?$/u, "")) : offer;
  },
};
