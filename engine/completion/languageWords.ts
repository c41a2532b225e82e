// Words that belong to a language and not to a person's code, keyed by the language's name as its query file says it.
// `languageWords.json` is also what `training/entity_names.py` reads. Keywords of one and two letters are left out there.
import words from "./languageWords.json" with { type: "json" };

interface LanguageWords {
  readonly keywords: string;
  /**
   * What is there without an import, with words of the grammar that a parser may give as an identifier. Python: `dir(builtins)` of
   * CPython 3.12 without the shell's own. JavaScript and TypeScript: ECMAScript's globals, the commonest of a browser and of
   * Node, TypeScript's built-in types. Absent where they are not listed.
   */
  readonly builtins?: string;
}

const LANGUAGES: Readonly<Record<string, LanguageWords>> = words;
const NONE: ReadonlySet<string> = new Set();

/** Undefined for a language whose names are not listed. */
export function builtinWords(language: string): ReadonlySet<string> | undefined {
  const { builtins } = LANGUAGES[language] ?? {};
  return builtins === undefined ? undefined : new Set(builtins.split(" "));
}

/** A function that gives keywords and built-in names of a language; none for one that is not known. Each is made once. */
export function reservedWords(): (language: string | undefined) => ReadonlySet<string> {
  const made = new Map<string, ReadonlySet<string>>();
  return (language) => {
    const found = language === undefined ? undefined : LANGUAGES[language];
    if (language === undefined || found === undefined) return NONE;
    const known = made.get(language) ?? new Set([...found.keywords.split(" "), ...(builtinWords(language) ?? [])]);
    made.set(language, known);
    return known;
  };
}
