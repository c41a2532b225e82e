// Does an offer name things that exist? Its identifiers, parsed in their place, are looked up in the open file, among the
// language's own names and in the index; calls of a function with one known signature are checked against it.
import type { Language, Name } from "../languages/languages.ts";
import { argumentsOf, mismatch, partsAt, type Signature, signaturesIn } from "./arity.ts";
import { type BuiltinNames, builtinsOf } from "./builtinNames.ts";
import type { Offer } from "./filters/filter.ts";
import type { Cursor } from "./prompt.ts";

/** What the index knows of names. */
export interface KnownNames {
  /** Whether the identifier, case and all, occurs in another file: what stands in this one, its own text says best. */
  hasName(name: string, exceptPath: string): boolean;
  /** Texts of other files' chunks that hold the identifier and the phrase; at most `limit`. */
  textsWith(name: string, phrase: string, exceptPath: string, limit: number): readonly string[];
}

export interface SymbolReport {
  /** Identifiers looked up: those the offer uses and does not bind itself. */
  readonly checked: number;
  /** Found neither in the file, nor among the language's own, nor in the index. */
  readonly unresolved: readonly string[];
  /** The same for names behind a dot. */
  readonly unknownAttributes: readonly string[];
  /** Known to the index but not to the file: an import is missing, or the name is another's. */
  readonly notInFile: readonly string[];
  /** Calls that do not fit the one signature known. */
  readonly wrongCalls: readonly string[];
  /** False where the language's own names are not listed: then `unresolved` is a hint and no more. */
  readonly isCertain: boolean;
}

export const NOTHING_CHECKED: SymbolReport = {
  checked: 0,
  unresolved: [],
  unknownAttributes: [],
  notInFile: [],
  wrongCalls: [],
  isCertain: false,
};

/** So much of the document is parsed, a few milliseconds' worth; it begins at a line without indentation. */
const PARSED_BEFORE = 12_000;
const PARSED_AFTER = 2_000;

/** Definitions read for one name; more than one signature among them and nothing is concluded. */
const DEFINITIONS_READ = 8;

/** Other names are in no index: what is very long is encoded data, and `$` is no letter there. */
const INDEXED = /^[\p{L}_][\p{L}\p{N}_]{0,63}$/u;

const IDENTIFIER = /[\p{L}_$][\p{L}\p{N}_$]*/gu;

export function checkSymbols(
  cursor: Cursor,
  offer: Offer & { readonly isCut?: boolean },
  language: Language | undefined,
  index: KnownNames | undefined,
): SymbolReport {
  if (language === undefined) return NOTHING_CHECKED;
  const place = placed(cursor, offer);
  const names = namesOf(language, place);
  if (names === undefined) return NOTHING_CHECKED;
  const builtins = builtinsOf(language.name);
  const inFile = identifiersAround(cursor, offer);
  const own = boundBy(place, names);
  const isPython = language.name === "python";
  const report = { unresolved: new Set<string>(), unknownAttributes: new Set<string>(), notInFile: new Set<string>() };
  let checked = 0;
  for (const name of names) {
    const { text } = name;
    // Where the reader ran out of tokens, the last name may be half of one.
    if (offer.isCut && name.end === place.end) continue;
    if (!INDEXED.test(text)) continue;
    if (name.role !== "reference" || own.has(text) || isKeywordArgument(place.text, name)) continue;
    checked += 1;
    const isMember = isBehindDot(place.text, name);
    if (inFile.has(text) || isBuiltin(text, isMember, builtins)) continue;
    if (index?.hasName(text, cursor.path)) {
      if (!isMember) report.notInFile.add(text);
    } else {
      (isMember ? report.unknownAttributes : report.unresolved).add(text);
    }
  }
  return {
    checked,
    unresolved: [...report.unresolved],
    unknownAttributes: [...report.unknownAttributes],
    notInFile: [...report.notInFile],
    wrongCalls: isPython ? wrongCallsOf(place, names, builtins, cursor, index) : [],
    isCertain: builtins !== undefined,
  };
}

/** The document with the offer taken, or its neighbourhood where it is long; `[start, end)` is the offer in `text`. */
interface Placed {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

function placed(cursor: Cursor, offer: Offer): Placed {
  const before = cursor.text.slice(0, cursor.offset);
  const after = cursor.text.slice(cursor.offset + offer.replaceRight);
  let from = 0;
  if (before.length > PARSED_BEFORE) {
    // A line that begins in the first column begins a statement, so what stands before it matters little to the parse.
    const unindented = before.slice(-PARSED_BEFORE).search(/\n(?=[\p{L}@_])/u);
    from = before.length - PARSED_BEFORE + (unindented === -1 ? 0 : unindented + 1);
  }
  const head = before.slice(from);
  return {
    text: head + offer.text + after.slice(0, PARSED_AFTER),
    start: head.length,
    end: head.length + offer.text.length,
  };
}

/** Names that touch the offer: one may have been begun left of the cursor. Undefined when the parse took too long. */
function namesOf(language: Language, place: Placed): Name[] | undefined {
  const syntax = language.parse(place.text);
  if (syntax === undefined) return undefined;
  const names = syntax.names.filter((name) => name.end > place.start && name.start < place.end);
  syntax.delete();
  return names;
}

function identifiersAround(cursor: Cursor, offer: Offer): Set<string> {
  const around = [cursor.text.slice(0, cursor.offset), cursor.text.slice(cursor.offset + offer.replaceRight)];
  return new Set(around.flatMap((text) => [...text.matchAll(IDENTIFIER)].map(([word]) => word)));
}

/** What the offer itself introduces, the variables of comprehensions included, which no query names. */
function boundBy(place: Placed, names: readonly Name[]): Set<string> {
  const bound = new Set(names.filter((name) => name.role !== "reference").map((name) => name.text));
  const lineStart = place.text.lastIndexOf("\n", place.start - 1) + 1;
  for (const [, variables = ""] of place.text.slice(lineStart, place.end).matchAll(/\bfor\s+([\w\s,()*]+?)\s+in\b/g)) {
    for (const [word] of variables.matchAll(IDENTIFIER)) bound.add(word);
  }
  return bound;
}

function isBehindDot(text: string, name: Name): boolean {
  return /\.\s*$/.test(text.slice(Math.max(0, name.start - 20), name.start));
}

/** `f(name=…)`: the name is the called function's, and checked with the call. */
function isKeywordArgument(text: string, name: Name): boolean {
  if (!/^\s*=(?!=)/.test(text.slice(name.end, name.end + 20))) return false;
  return /[(,]\s*$/.test(text.slice(Math.max(0, name.start - 200), name.start));
}

function isBuiltin(name: string, isMember: boolean, builtins: BuiltinNames | undefined): boolean {
  if (/^__\w+__$/.test(name) || name === "_") return true;
  return (isMember ? builtins?.attributes : builtins?.names)?.has(name) === true;
}

/** Calls in the offer of functions with one known signature, which the call does not fit. */
function wrongCallsOf(
  place: Placed,
  names: readonly Name[],
  builtins: BuiltinNames | undefined,
  cursor: Cursor,
  index: KnownNames | undefined,
): string[] {
  const wrong: string[] = [];
  for (const name of names) {
    const open = /^[ \t]*\(/.exec(place.text.slice(name.end))?.[0].length;
    if (open === undefined || name.role === "definition") continue;
    const isMember = isBehindDot(place.text, name);
    if (isBuiltin(name.text, isMember, builtins)) continue;
    const call = partsAt(place.text, name.end + open - 1);
    // A call that goes on below what is offered is not the offer's to answer for.
    if (call === undefined || call.end > place.end) continue;
    const signature = onlySignature(name.text, cursor, index);
    if (signature === undefined) continue;
    const receiver = /([\p{L}_][\p{L}\p{N}_]*)\s*\.\s*$/u.exec(place.text.slice(0, name.start))?.[1];
    const first = signature.positional[0]?.name;
    const isMethod = first === "self" || first === "cls";
    // `Base.method(self)` gives the first parameter itself.
    if (isMethod && (receiver === undefined || /^\p{Lu}/u.test(receiver))) continue;
    const why = mismatch(argumentsOf(call.parts), signature, isMethod);
    if (why !== undefined) wrong.push(`${name.text}: ${why}`);
  }
  return wrong;
}

/** The file's own definition first; then the index's, if all of them agree. */
function onlySignature(name: string, cursor: Cursor, index: KnownNames | undefined): Signature | undefined {
  const own = signaturesIn(cursor.text, name);
  if (own.length > 0) return own.length === 1 ? own[0] : undefined;
  const texts = index?.textsWith(name, `def ${name}(`, cursor.path, DEFINITIONS_READ) ?? [];
  // Read to the limit, there may be more that differ.
  if (texts.length === DEFINITIONS_READ) return undefined;
  const found = new Map(
    texts.flatMap((text) => signaturesIn(text, name)).map((each) => [JSON.stringify(each), each] as const),
  );
  return found.size === 1 ? [...found.values()][0] : undefined;
}
