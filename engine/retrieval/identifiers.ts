// Identifiers of a piece of code, the unit both lexical retrievers compare.
import { namesIn } from "../store/words.ts";

/** More say no more, and a query may be any text: the last ones are nearest to the cursor. */
const MOST = 256;

/** Distinct identifiers in order of first appearance, keywords left out. */
export function identifiersOf(text: string): string[] {
  return namesIn(text).slice(-MOST);
}
