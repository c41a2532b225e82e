// The lines around the cursor and the retrieved chunks are tokenised anew at every keystroke, on the thread that answers the
// editor: what was tokenised lately is remembered.
import type { Tokenizer } from "./tokenizer.ts";

/** UTF-16 code units of all texts remembered: some hundred windows and chunks. */
const ROOM = 2 ** 19;

/** The same tokens for the same text, sooner; what was used longest ago is forgotten first. */
export function rememberTokens(tokenizer: Tokenizer, room = ROOM): Tokenizer {
  /** Used last stands last. */
  const known = new Map<string, readonly number[]>();
  let held = 0;
  return {
    ...tokenizer,
    encode: (text, special = false) => {
      if (special) return tokenizer.encode(text, true);
      let ids = known.get(text);
      if (ids === undefined) {
        ids = tokenizer.encode(text);
        held += text.length;
      } else known.delete(text);
      known.set(text, ids);
      for (const oldest of known.keys()) {
        if (held <= room) break;
        known.delete(oldest);
        held -= oldest.length;
      }
      return ids;
    },
  };
}
