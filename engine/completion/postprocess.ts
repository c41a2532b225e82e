// Raw text -> what is offered, through an ordered list of small pure filters, one file each. Order is meaning.
import { blankLine } from "./filters/blankLine.ts";
import { brackets } from "./filters/brackets.ts";
import { brokenCharacters } from "./filters/brokenCharacters.ts";
import { echoAbove } from "./filters/echoAbove.ts";
import { echoBelow } from "./filters/echoBelow.ts";
import type { Filter, Offer, Surroundings } from "./filters/filter.ts";
import { indentation } from "./filters/indentation.ts";
import { leadingBlankLines } from "./filters/leadingBlankLines.ts";
import { lineBreaks } from "./filters/lineBreaks.ts";
import { lineLimit } from "./filters/lineLimit.ts";
import { partialToken } from "./filters/partialToken.ts";
import { prose } from "./filters/prose.ts";
import { repetition } from "./filters/repetition.ts";
import { scope } from "./filters/scope.ts";
import { stopTokens } from "./filters/stopTokens.ts";
import { syntax } from "./filters/syntax.ts";
import { textRight } from "./filters/textRight.ts";
import { trailingSpace } from "./filters/trailingSpace.ts";
import { whitespaceOnly } from "./filters/whitespaceOnly.ts";

export const FILTERS: readonly Filter[] = [
  // What is not code.
  stopTokens,
  brokenCharacters,
  prose,
  // How much of it.
  leadingBlankLines,
  partialToken,
  lineLimit,
  blankLine,
  trailingSpace,
  // Where it stands.
  indentation,
  scope,
  whitespaceOnly,
  // Whether it says anything new.
  repetition,
  echoAbove,
  echoBelow,
  // Whether it fits what stands right of it and below.
  textRight,
  brackets,
  syntax,
  lineBreaks,
];

export interface Postprocessed {
  /** Absent where a filter dropped it. */
  readonly offer?: Offer;
  readonly droppedBy?: string;
  /** Names of the filters that changed or dropped the offer, in order. */
  readonly fired: readonly string[];
}

export function postprocess(raw: string, around: Surroundings): Postprocessed {
  let offer: Offer = { text: raw, replaceRight: 0 };
  const fired: string[] = [];
  for (const filter of FILTERS) {
    const next = filter.apply(offer, around);
    if (next !== offer) fired.push(filter.name);
    if (next === undefined) return { droppedBy: filter.name, fired };
    offer = next;
  }
  return { offer, fired };
}
