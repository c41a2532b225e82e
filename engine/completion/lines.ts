// One line or several: what the syntax tree says of the cursor's place.
import type { Place } from "../languages/liveSyntax.ts";
import type { Cursor } from "./prompt.ts";

export interface Shape {
  readonly maxLines: number;
  /** Why, for the trace: `block-start`, `documentation`, or why it is one line. */
  readonly why: "block-start" | "documentation" | "limit" | "code-at-right" | "no-tree" | "one-line";
}

/** Opens a comment or string of documentation that the rest of the file is not yet parsed by. */
const OPENS_DOCUMENTATION = /^(?:[rRuU]?"""|'''|\/\*\*?(?!.*\*\/))(?!.*(?:"""|'''))/;

/**
 * Several lines where a block has nothing in it yet, after a signature, and in documentation; else one. Most accepted
 * completions are one line, and where several are shown unasked they are what people complain about.
 */
export function shapeAt(cursor: Cursor, limit: number, place: Place | undefined): Shape {
  const { text, offset } = cursor;
  if (limit <= 1) return { maxLines: 1, why: "limit" };
  const lineEnd = text.indexOf("\n", offset);
  const right = text.slice(offset, lineEnd === -1 ? text.length : lineEnd);
  // An editor's own closers may stand behind the cursor: `{│}`.
  if (!/^\s*[)\]}]*\s*$/.test(right)) return { maxLines: 1, why: "code-at-right" };
  const before = text.slice(text.lastIndexOf("\n", offset - 1) + 1, offset).trim();
  if (OPENS_DOCUMENTATION.test(before)) return { maxLines: limit, why: "documentation" };
  if (place === undefined) return { maxLines: 1, why: "no-tree" };
  if (place.inside !== undefined && place.isLong) return { maxLines: limit, why: "documentation" };
  if (place.isEmptyBlock) return { maxLines: limit, why: "block-start" };
  return { maxLines: 1, why: "one-line" };
}
