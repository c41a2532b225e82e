// Token ids -> the text that a server with another tokenizer, or an unknown one, reads the same way.
import type { Tokenizer } from "../tokenizer.ts";

/** Servers read a special token wherever its name stands. */
const SPECIAL = /<\|(?=\w+\|>)/g;

/** Special tokens by their names. The same names in a person's file get a space within, as they must stay text. */
export function promptText(tokens: ArrayLike<number>, tokenizer: Tokenizer): string {
  const parts: string[] = [];
  let plain: number[] = [];
  const endPlain = () => {
    parts.push(tokenizer.decode(plain).replace(SPECIAL, "< |"));
    plain = [];
  };
  for (const token of Array.from(tokens)) {
    const name = tokenizer.specialOf(token);
    if (name === undefined) plain.push(token);
    else {
      endPlain();
      parts.push(name);
    }
  }
  endPlain();
  return parts.join("");
}
