// A reader that was trained to chat wraps code in fences and sentences; only the code is wanted.
import { type Filter, withText } from "./filter.ts";

const OPENING_FENCE = /^\s*(?:```|~~~)[\w+#.-]*[ \t]*\r?\n/;
const CLOSING_FENCE = /\r?\n?[ \t]*(?:```|~~~)[ \t]*(?:\r?\n[\s\S]*)?$/;

/** How chat answers begin. A comment or string may begin so too, but not a line of code. */
const CHAT =
  /^\s*(?:sure[,!.]|certainly[,!.]|of course[,!.]|here(?:'s| is| are) (?:the|a|an|your|some)\b|the (?:completed?|missing|following) (?:code|function|line|part)\b|i'?m sorry\b|i (?:can(?:no|')t|will|would|have)\b|as an ai\b|this (?:code|function|snippet) (?:will|is|does)\b|note that\b|explanation:|to complete (?:the|this)\b)/i;

/** `// Path: src/a.ts` and the like: a heading of the prompt that came back. */
const PATH_ECHO = /^\s*(?:\/\/|#|--|\/\*)\s*(?:path|file(?:name)?)\s*:\s*\S+\.\w+\s*(?:\*\/)?\s*?(?:\r?\n|$)/i;

export const prose: Filter = {
  name: "prose",
  apply: (offer, around) => {
    if (around.isProse) return offer;
    let { text } = offer;
    if (OPENING_FENCE.test(text)) text = text.replace(OPENING_FENCE, "").replace(CLOSING_FENCE, "");
    else if (/\n[ \t]*(?:```|~~~)/.test(text)) text = text.replace(CLOSING_FENCE, "");
    text = text.replace(PATH_ECHO, "");
    const startsStatement = around.lineBefore.trim() === "";
    return startsStatement && CHAT.test(text) ? undefined : withText(offer, text);
  },
};
