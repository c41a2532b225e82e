// What was just offered, given again while the person types along it or steps back.
import type { Mode } from "../domain.ts";
import type { Completion, Reused, Verdict } from "./complete.ts";
import type { Offer } from "./filters/filter.ts";
import type { Cursor } from "./prompt.ts";

/** Enough for the last few places; each entry holds one offer and the file around it. */
const CAPACITY = 50;

/** Which request an answer from memory comes from. */
export type Origin = "typed along the last completion" | "prefetched after an acceptance";

interface Offered {
  readonly path: string;
  readonly mode: Mode;
  readonly before: string;
  readonly after: string;
  readonly offer: Offer;
  readonly origin: Origin;
  readonly verdict: Verdict | undefined;
  readonly account: Completion;
}

export interface Recalled extends Reused {
  readonly offer: Offer;
  /** What the gate made of the whole offer: its fate is learned from, whichever answer showed it. */
  readonly verdict: Verdict | undefined;
}

export class RecentCompletions {
  #entries: Offered[] = [];

  /** `account`: the request that made the offer, for who asks why it is shown again. */
  add(
    cursor: Cursor,
    mode: Mode,
    offer: Offer,
    account: Completion,
    {
      origin = "typed along the last completion",
      verdict,
    }: { readonly origin?: Origin | undefined; readonly verdict?: Verdict | undefined } = {},
  ): void {
    const before = cursor.text.slice(0, cursor.offset);
    const after = cursor.text.slice(cursor.offset);
    this.#entries.unshift({ path: cursor.path, mode, before, after, offer, origin, verdict, account });
    this.#entries.length = Math.min(this.#entries.length, CAPACITY);
  }

  /** The rest of an offer whose beginning has been typed since; nothing else may have changed in the file. */
  find(cursor: Cursor, mode: Mode): Recalled | undefined {
    const before = cursor.text.slice(0, cursor.offset);
    const after = cursor.text.slice(cursor.offset);
    for (const { path, mode: ofMode, before: head, after: tail, offer, ...known } of this.#entries) {
      if (path !== cursor.path || ofMode !== mode || !after.endsWith(tail) || !before.startsWith(head)) continue;
      const typed = before.length - head.length;
      const left = rest(offer, before.slice(head.length));
      const closers = after.slice(0, after.length - tail.length);
      const along = left === undefined ? undefined : overClosers(left, closers);
      if (along !== undefined) return { ...known, offer: along, typed };
    }
    return undefined;
  }

  /** The index or the models changed: what was offered may no longer be the answer. */
  clear(): void {
    this.#entries = [];
  }
}

/** What is left of an offer behind what has been typed of it; undefined where something else was typed, or all of it. */
export function rest({ text, replaceRight }: Offer, typed: string): Offer | undefined {
  if (!text.startsWith(typed) || text.length === typed.length) return undefined;
  return { text: text.slice(typed.length), replaceRight };
}

/** The editor closed a bracket or quote that was typed; the offer, which closes it itself, replaces that. */
function overClosers(offer: Offer, closers: string): Offer | undefined {
  if (closers === "") return offer;
  if (!/^[)\]}"'`]+$/.test(closers) || !offer.text.includes(closers)) return undefined;
  return { text: offer.text, replaceRight: offer.replaceRight + closers.length };
}
