// Code -> the words that lexical search sees: every identifier, and its snake_case and camelCase parts.

/** Words so common in Python that sharing them says nothing. */
const KEYWORDS = new Set(
  "False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass raise return self try while with yield".split(
    " ",
  ),
);

const IDENTIFIER = /[\p{L}_][\p{L}\p{N}_]*/gu;

/** Longer ones are encoded data, not names. */
const LONGEST = 64;

/** Distinct identifiers, in order of first use. */
export function identifiersIn(text: string): string[] {
  const found = new Set<string>();
  for (const [identifier] of text.matchAll(IDENTIFIER)) if (identifier.length <= LONGEST) found.add(identifier);
  return [...found];
}

/** The identifiers that chunks are compared by: keywords say nothing. */
export function namesIn(text: string): string[] {
  return identifiersIn(text).filter((identifier) => !KEYWORDS.has(identifier));
}

/** Words to index, with repeats, since BM25 counts them. */
export function wordsIn(text: string): string {
  const words: string[] = [];
  for (const [identifier] of text.matchAll(IDENTIFIER))
    if (identifier.length <= LONGEST) words.push(...wordsOf(identifier));
  return words.join(" ");
}

/** The distinct words of some terms, which may be any text. */
export function termsIn(terms: readonly string[]): string[] {
  return [...new Set(terms.flatMap((term) => identifiersIn(term)).flatMap(wordsOf))];
}

/** An FTS5 query for any of the words; undefined without words. */
export function anyOf(words: readonly string[]): string | undefined {
  // Words hold letters, digits and underscores only, so quotes are all the quoting they need.
  return words.length === 0 ? undefined : words.map((word) => `"${word}"`).join(" OR ");
}

/** `HTTPServer_run` -> `httpserver_run http server run`; a plain word is itself. */
function wordsOf(identifier: string): string[] {
  const whole = identifier.toLowerCase();
  const parts = identifier
    .split(/_+|(?<=[\p{Ll}\p{N}])(?=\p{Lu})|(?<=\p{Lu})(?=\p{Lu}\p{Ll})/u)
    .map((part) => part.toLowerCase())
    .filter((part) => part.length > 1 && part !== whole);
  return parts.length > 0 ? [whole, ...parts] : [whole];
}
