// Identifiers of a piece of code, the unit both lexical retrievers compare.

/** Words so common in Python that sharing them says nothing. */
const KEYWORDS = new Set(
  "False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass raise return self try while with yield".split(
    " ",
  ),
);

export function isKeyword(word: string): boolean {
  return KEYWORDS.has(word);
}

/** Distinct identifiers in order of first appearance, keywords left out. */
export function identifiersOf(text: string): string[] {
  const found = new Set<string>();
  for (const [word] of text.matchAll(/[\p{L}_][\p{L}\p{N}_]*/gu)) {
    if (!isKeyword(word)) found.add(word);
  }
  return [...found];
}
