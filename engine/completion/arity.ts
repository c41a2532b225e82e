// Calls against signatures, for Python: does a call give what a definition's parameters want? Text in, a verdict out;
// strings, brackets and comments are respected, types and defaults are not looked into.

export interface Signature {
  /** Parameters that take a positional argument, in order, `self` and `cls` included. */
  readonly positional: readonly Parameter[];
  readonly keywordOnly: readonly Parameter[];
  readonly hasRest: boolean;
  readonly hasKeywords: boolean;
}

interface Parameter {
  readonly name: string;
  readonly isRequired: boolean;
  /** Before a lone `/`: not to be given by name. */
  readonly isPositionalOnly: boolean;
}

export interface Arguments {
  readonly positional: number;
  readonly keywords: readonly string[];
  /** `*xs` or `**xs`: how many there are shows only when it runs. */
  readonly isSpread: boolean;
}

const OPENERS = "([{";
const CLOSERS = ")]}";

/**
 * The parts between the commas of a bracket's inside, `open` being the offset of the opening bracket; undefined when it
 * is not closed in `text`.
 */
export function partsAt(text: string, open: number): { parts: string[]; end: number } | undefined {
  const parts: string[] = [];
  let nesting = 0;
  let from = open + 1;
  for (let i = open; i < text.length; i += 1) {
    const char = text.charAt(i);
    if (char === '"' || char === "'") {
      const end = stringEnd(text, i);
      if (end === undefined) return undefined;
      i = end - 1;
    } else if (char === "#") {
      const lineEnd = text.indexOf("\n", i);
      if (lineEnd === -1) return undefined;
      i = lineEnd;
    } else if (OPENERS.includes(char)) {
      nesting += 1;
    } else if (CLOSERS.includes(char)) {
      nesting -= 1;
      if (nesting > 0) continue;
      parts.push(text.slice(from, i));
      return { parts: parts.filter((part, n) => part.trim() !== "" || n < parts.length - 1), end: i + 1 };
    } else if (char === "," && nesting === 1) {
      parts.push(text.slice(from, i));
      from = i + 1;
    }
  }
  return undefined;
}

/** Offset behind the string literal that starts at `start`. */
function stringEnd(text: string, start: number): number | undefined {
  const quote = text.charAt(start);
  const isTriple = text.startsWith(quote.repeat(3), start);
  const mark = isTriple ? quote.repeat(3) : quote;
  for (let i = start + mark.length; i < text.length; i += 1) {
    if (text.charAt(i) === "\\") i += 1;
    else if (text.startsWith(mark, i)) return i + mark.length;
    else if (!isTriple && text.charAt(i) === "\n") return undefined;
  }
  return undefined;
}

/** Every distinct signature of a function of that name in `text`; a class gives its `__init__`, where it has one. */
export function signaturesIn(text: string, name: string): Signature[] {
  const found = new Map<string, Signature>();
  for (const match of text.matchAll(new RegExp(`^[ \\t]*(?:async[ \\t]+)?def[ \\t]+${name}[ \\t]*\\(`, "gm"))) {
    const inside = partsAt(text, match.index + match[0].length - 1);
    if (inside === undefined) continue;
    const signature = signatureOf(inside.parts);
    found.set(JSON.stringify(signature), signature);
  }
  return [...found.values()];
}

export function signatureOf(parts: readonly string[]): Signature {
  const positional: Parameter[] = [];
  const keywordOnly: Parameter[] = [];
  let hasRest = false;
  let hasKeywords = false;
  let isAfterStar = false;
  for (const part of parts.map((each) => each.replace(/^(?:\s|#.*\n)+/, "").trim())) {
    if (part === "/") {
      for (const [n, parameter] of positional.entries()) positional[n] = { ...parameter, isPositionalOnly: true };
    } else if (part.startsWith("**")) {
      hasKeywords = true;
    } else if (part.startsWith("*")) {
      hasRest = part.length > 1;
      isAfterStar = true;
    } else {
      const [, name = ""] = /^(\w+)/.exec(part) ?? [];
      const parameter = { name, isRequired: !hasDefault(part), isPositionalOnly: false };
      (isAfterStar ? keywordOnly : positional).push(parameter);
    }
  }
  return { positional, keywordOnly, hasRest, hasKeywords };
}

/** `name: Literal["="] = 1`: the default's sign stands outside every bracket and string. */
function hasDefault(parameter: string): boolean {
  return /=/.test(parameter.replace(/(["'])(?:\\.|(?!\1).)*\1/g, "").replace(/\[[^\]]*\]/g, ""));
}

export function argumentsOf(parts: readonly string[]): Arguments {
  let positional = 0;
  let isSpread = false;
  const keywords: string[] = [];
  for (const part of parts.map((each) => each.trim())) {
    const keyword = /^(\w+)\s*=(?!=)/.exec(part)?.[1];
    if (part.startsWith("*")) isSpread = true;
    else if (keyword !== undefined) keywords.push(keyword);
    else positional += 1;
  }
  return { positional, keywords, isSpread };
}

/** Why the call cannot be one of that function; undefined when it can. `isBound`: the first parameter is given already. */
export function mismatch(call: Arguments, signature: Signature, isBound: boolean): string | undefined {
  const positional = isBound ? signature.positional.slice(1) : signature.positional;
  if (!signature.hasRest && call.positional > positional.length) {
    return `${call.positional} arguments, at most ${positional.length} wanted`;
  }
  const byName = new Set(
    [...positional.slice(call.positional).filter((each) => !each.isPositionalOnly), ...signature.keywordOnly].map(
      (each) => each.name,
    ),
  );
  const unknown = call.keywords.find((keyword) => !byName.has(keyword));
  if (unknown !== undefined && !signature.hasKeywords) return `no parameter ${unknown}`;
  if (call.isSpread) return undefined;
  const missing = [...positional.slice(call.positional), ...signature.keywordOnly].find(
    (each) => each.isRequired && !call.keywords.includes(each.name),
  );
  return missing === undefined ? undefined : `${missing.name} is missing`;
}
