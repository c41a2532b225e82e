// Code -> the words that lexical search sees: every identifier, and its snake_case and camelCase parts.

/**
 * Reserved words of all languages together, which say nothing. Left out are those that people name things with where they
 * are not reserved, such as `type`, `default` or `string`: one list then does as well as one for each language.
 */
const KEYWORDS = new Set(
  [
    "abstract and as assert async await bool boolean break byte case catch char class const constexpr continue def",
    "defer del do double elif else elsif end endif ensure enum except export extends extern False false final finally",
    "float fn for foreach friend from func global goto if ifdef ifndef impl implements import in include inline",
    "instanceof int interface internal is lambda let long match mut namespace new nil noexcept None nonlocal not null",
    "nullptr operator or override pass private protected pub public raise readonly require rescue return sealed self",
    "short signed sizeof static struct super switch then this throw throws trait True true try typedef typename",
    "typeof uint undef undefined unless unsafe unsigned until use using var virtual void volatile when where while",
    "with yield",
  ]
    .join(" ")
    .split(" "),
);

const IDENTIFIER = /[\p{L}_][\p{L}\p{N}_]*/gu;

/** Longer ones are encoded data, not names. */
const LONGEST = 64;

/** Identifiers whose words are remembered while a store is written. */
const KNOWN_WORDS = 20_000;

/** Distinct identifiers, in order of first use. */
export function identifiersIn(text: string): string[] {
  const found = new Set<string>();
  for (const [identifier] of text.matchAll(IDENTIFIER)) if (identifier.length <= LONGEST) found.add(identifier);
  return [...found];
}

/** The identifiers that chunks are compared by: keywords say nothing. */
export function namesIn(text: string): string[] {
  return namesAmong(identifiersIn(text));
}

export function namesAmong(identifiers: readonly string[]): string[] {
  return identifiers.filter((identifier) => !KEYWORDS.has(identifier));
}

/** Words to index, with repeats, since BM25 counts them. `known` keeps what identifiers were taken apart before. */
export function wordsIn(text: string, known: Map<string, string> = new Map()): string {
  if (known.size > KNOWN_WORDS) known.clear();
  const words: string[] = [];
  for (const [identifier] of text.matchAll(IDENTIFIER)) {
    if (identifier.length > LONGEST) continue;
    const parts = known.get(identifier) ?? wordsOf(identifier).join(" ");
    known.set(identifier, parts);
    words.push(parts);
  }
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
