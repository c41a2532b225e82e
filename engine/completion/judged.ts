// Texts of the reader behind filters and scales, and which of them are offered.
import type { NoCompletionReason } from "../errors.ts";
import type { Trace } from "../trace.ts";
import type { Scored } from "./alternatives.ts";
import type { Suggestion, Verdict } from "./complete.ts";
import type { Offer } from "./filters/filter.ts";

/** A text of the reader behind filters and scales. */
export interface Judged {
  readonly text: Scored;
  readonly fired: readonly string[];
  readonly meanLogProb: number;
  /** Absent where a filter dropped it. */
  readonly offer?: Offer;
  readonly verdict?: Verdict;
  /** Why it is not shown. */
  readonly reason?: NoCompletionReason;
}

/** Those that are shown, each once, the likeliest first. */
export function offersOf(judged: readonly Judged[]): Judged[] {
  const byOffer = new Map<string, Judged>();
  for (const each of judged.toSorted((a, b) => b.meanLogProb - a.meanLogProb)) {
    if (each.offer === undefined || each.reason !== undefined) continue;
    const key = `${each.offer.replaceRight}:${each.offer.text.trim()}`;
    if (!byOffer.has(key)) byOffer.set(key, each);
  }
  return [...byOffer.values()];
}

/** What the account tells of the text that is offered. */
export function noteJudged({ text, fired, verdict }: Judged, trace: Trace): void {
  trace.note("raw", text.text);
  if (fired.length > 0) trace.note("filters", fired.join(", "));
  for (const [name, value] of Object.entries(verdict?.facts ?? {})) trace.note(name, value);
}

export function suggestionOf({ offer, meanLogProb, verdict }: Judged): Suggestion {
  const { text = "", replaceRight = 0 } = offer ?? {};
  return {
    text,
    replaceRight,
    meanLogProb,
    ...(verdict?.features === undefined ? {} : { features: verdict.features }),
  };
}
