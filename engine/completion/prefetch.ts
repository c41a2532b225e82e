// Where the cursor will most likely be once an offer has been accepted.
import { indentationOf, type Offer } from "./filters/filter.ts";
import type { Cursor } from "./prompt.ts";
import { accepted, indentUnitOf } from "./surroundings.ts";

/** What a line ends with when the editor indents the next one. */
const OPENS = /[:{([]\s*$/;

/** On the next line, indented as the editor will; undefined where more text follows on the line. */
export function afterAcceptance(cursor: Cursor, offer: Offer): Cursor | undefined {
  const text = accepted(cursor, offer);
  const end = cursor.offset + offer.text.length;
  const lineEnd = text.indexOf("\n", end);
  const right = text.slice(end, lineEnd === -1 ? text.length : lineEnd);
  if (right.trim() !== "") return undefined;
  const line = text.slice(end === 0 ? 0 : text.lastIndexOf("\n", end - 1) + 1, end);
  if (line.trim() === "") return undefined;
  const step = OPENS.test(line) ? indentUnitOf(text.slice(0, end).split("\n").slice(-200)) : "";
  const lineBreak = text.includes("\r\n") ? "\r\n" : "\n";
  const opened = `${lineBreak}${indentationOf(line)}${step}`;
  return { path: cursor.path, text: text.slice(0, end) + opened + text.slice(end), offset: end + opened.length };
}
