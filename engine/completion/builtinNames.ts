// Names a language has without an import: what a symbol check must not call unknown. Keyed by the language's name.
import { builtinWords } from "./languageWords.ts";

export interface BuiltinNames {
  /** Functions, types, constants and words of the grammar that a parser may give as an identifier. */
  readonly names: ReadonlySet<string>;
  /** Methods and attributes of the built-in types and of the commonest standard modules. */
  readonly attributes: ReadonlySet<string>;
}

const words = (text: string): ReadonlySet<string> => new Set(text.split(/\s+/).filter((word) => word !== ""));

/** Attributes of str, bytes, list, dict, set, numbers, files, patterns, exceptions; special names are known by shape. */
const PYTHON_ATTRIBUTES = words(`
  add add_note append args as_integer_ratio bit_count bit_length capitalize casefold center clear close closed
  conjugate copy count decode deleter denominator detach difference difference_update discard encode encoding end
  endpos endswith errors expand expandtabs extend fget fileno find findall finditer flags flush format format_map
  from_bytes fromhex fromkeys fset fullmatch get getter group groupdict groupindex groups hex imag index indices insert
  intersection intersection_update is_integer isalnum isalpha isascii isatty isdecimal isdigit isdisjoint isidentifier
  islower isnumeric isprintable isspace issubset issuperset istitle isupper items join keys lastgroup lastindex ljust
  lower lstrip maketrans match mode mro name newlines numerator partition pattern pop popitem pos re read readable
  readline readlines real remove removeprefix removesuffix replace reverse rfind rindex rjust rpartition rsplit rstrip
  scanner search seek seekable send setdefault setter sort span split splitlines start startswith step stop string
  strip sub subn swapcase symmetric_difference symmetric_difference_update tell throw title to_bytes translate truncate
  union update upper values with_traceback writable write writelines zfill
`);

const SCRIPT_ATTRIBUTES = words(`
  add apply assign at bind byteLength call catch charAt charCodeAt clear code codePointAt concat constructor create
  defineProperty delete done endsWith entries error every fill filter finally find findIndex findLast flat flatMap
  floor forEach freeze from fromEntries get getOwnPropertyNames getTime groupBy has hasOwnProperty includes index
  indexOf isArray isInteger join keys lastIndexOf length localeCompare log map match matchAll max message min name next
  normalize now of padEnd padStart parse pop prototype push random reduce reject repeat replace replaceAll resolve
  reverse round set shift size slice some sort splice split stack startsWith stringify substring test then
  toFixed toISOString toLowerCase toSorted toString toUpperCase trim trimEnd trimStart unshift value valueOf values warn
`);

/** Built-in types' and the commonest modules'; of the languages whose names are listed. */
const ATTRIBUTES: Readonly<Record<string, ReadonlySet<string>>> = {
  python: PYTHON_ATTRIBUTES,
  javascript: SCRIPT_ATTRIBUTES,
  typescript: SCRIPT_ATTRIBUTES,
  tsx: SCRIPT_ATTRIBUTES,
};

/** Undefined for a language whose names are not listed: there, a name seen nowhere may still be one of its own. */
export function builtinsOf(language: string): BuiltinNames | undefined {
  const names = builtinWords(language);
  const attributes = ATTRIBUTES[language];
  return names === undefined || attributes === undefined ? undefined : { names, attributes };
}
