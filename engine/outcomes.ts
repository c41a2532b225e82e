// What becomes of an offer: seen, typed along, taken in part or whole, refused, and whether it still stands after 30 s.
// Told of shown offers and of document versions; says each fate once. Knows no clock: times are given, in milliseconds.
import { distance } from "fastest-levenshtein";
import type { GateFeatures } from "./completion/gateFeatures.ts";

/** One of the offers of an answer. */
export interface OfferToTake {
  readonly id: number;
  readonly offer: { readonly text: string; readonly replaceRight: number };
  readonly features?: GateFeatures | undefined;
}

export interface ShownOffer extends OfferToTake {
  readonly uri: string;
  readonly language: string;
  /** The document it was made for. */
  readonly text: string;
  readonly offset: number;
  /** Offers of the same answer that a person can turn to; whichever is followed is the one that was shown. */
  readonly others?: readonly OfferToTake[];
}

/**
 * `accepted` and `part`: taken as a whole or up to a word or line; `typed`: written by hand just as offered; `rejected`:
 * seen and something else done. `survived` and `lost` follow `accepted` and `part` when the time has come.
 */
export type Fate = "accepted" | "part" | "typed" | "rejected" | "survived" | "lost";

export interface Outcome {
  readonly fate: Fate;
  readonly shown: ShownOffer;
  /** Characters taken; 0 for `typed` and `rejected`. */
  readonly characters: number;
}

/** Continue's and Copilot's rules: what was not on the screen for a blink was not refused. */
export const SEEN_MS = 250;
export const SURVIVAL_MS = 30_000;

/** What may have changed of an accepted text that counts as kept: a comma, a renamed letter. */
const CHANGED_SHARE = 0.1;

/** An editor's own pairs: typing the first brings the second. */
const PAIRS = ["()", "[]", "{}", '""', "''", "``"];

/** The offer on the screen. */
interface Current {
  shown: ShownOffer;
  /** As `shown`, each with another offer of the same place. */
  others: readonly ShownOffer[];
  readonly ids: Set<number>;
  readonly at: number;
  readonly before: string;
  after: string;
  /** Closers the editor wrote by itself, now at the beginning of `after`. */
  closers: string;
  /** So much of the offer stands in the document, and so much of that was written by hand. */
  typed: number;
  byHand: number;
  hasTaken: boolean;
  /** Written to its end by single characters; a command may still say that the last was taken. */
  isThrough: boolean;
}

interface Kept {
  readonly shown: ShownOffer;
  readonly text: string;
  readonly dueAt: number;
  start: number;
  end: number;
}

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly inserted: number;
}

export class Outcomes {
  readonly #report: (outcome: Outcome) => void;
  readonly #texts = new Map<string, string>();
  #current: Current | undefined;
  #kept: Kept[] = [];

  constructor(report: (outcome: Outcome) => void) {
    this.#report = report;
  }

  /** An answer went to the editor. The rest of what is shown already goes on as the same offer. */
  shown(shown: ShownOffer, at: number): void {
    const current = this.#current;
    const offers = eachOf(shown);
    if (current !== undefined && offers.some((offer) => isRest(current, offer))) {
      for (const { id } of offers) current.ids.add(id);
      const known = new Set([current.shown, ...current.others].map(({ offer }) => offer.text));
      const others = offers.flatMap((offer) => sinceBeginning(current, offer));
      current.others = [...current.others, ...others.filter(({ offer }) => !known.has(offer.text))];
      return;
    }
    this.#end(at);
    const { text, offset } = shown;
    this.#texts.set(shown.uri, text);
    const before = text.slice(0, offset);
    const after = text.slice(offset);
    const ids = new Set(offers.map(({ id }) => id));
    this.#current = {
      shown,
      others: offers.slice(1),
      ids,
      at,
      before,
      after,
      closers: "",
      typed: 0,
      byHand: 0,
      hasTaken: false,
      isThrough: false,
    };
  }

  /** A document has a new version. */
  changed(uri: string, text: string, at: number): void {
    const last = this.#texts.get(uri);
    this.#texts.set(uri, text);
    if (last === undefined || last === text) return;
    const current = this.#current;
    const edit = editBetween(last, text);
    const moveThose = (kept: readonly Kept[]) => {
      for (const each of kept) if (each.shown.uri === uri) move(each, edit);
    };
    moveThose(this.#kept);
    if (current?.shown.uri === uri && !this.#followAny(current, text, at)) {
      const before = this.#kept.length;
      this.#end(at);
      // What was taken in part stood there before this edit.
      moveThose(this.#kept.slice(before));
    }
    this.settle(at);
  }

  /** The editor's own word for it; most often the new version has said so already. */
  accepted(id: number, at: number): void {
    const current = this.#current;
    if (current === undefined || !current.ids.has(id) || !current.isThrough) return;
    current.hasTaken = true;
    current.byHand -= 1;
    this.#end(at);
  }

  closed(uri: string, at: number): void {
    if (this.#current?.shown.uri === uri) this.#end(at);
    // What stands in a document that is closed has been saved or thrown away; it is judged as it is.
    this.#judge((kept) => kept.shown.uri === uri);
    this.#texts.delete(uri);
  }

  /** Judges accepted texts whose time has come. */
  settle(at: number): void {
    this.#judge((kept) => kept.dueAt <= at);
  }

  /** When `settle` has something to do next; undefined when nothing was accepted lately. */
  get nextAt(): number | undefined {
    return this.#kept.length === 0 ? undefined : Math.min(...this.#kept.map(({ dueAt }) => dueAt));
  }

  /** The session ends or the person looked away: what is on the screen is neither taken nor refused. */
  forget(): void {
    this.#current = undefined;
    this.#kept = [];
  }

  /** False when the new text leaves every offer of the answer. */
  #followAny(current: Current, text: string, at: number): boolean {
    const { shown, others } = current;
    for (const each of [shown, ...others]) {
      current.shown = each;
      if (this.#follow(current, text, at)) return true;
    }
    current.shown = shown;
    return false;
  }

  /** False when the new text leaves the offer. */
  #follow(current: Current, text: string, at: number): boolean {
    const { before, shown } = current;
    const { offer } = shown;
    if (text === before + offer.text + current.after.slice(offer.replaceRight)) {
      return this.#advance(current, offer.text.length, at);
    }
    if (!text.startsWith(before) || !text.endsWith(current.after)) return false;
    if (text.length < before.length + current.after.length) return false;
    const written = text.slice(before.length, text.length - current.after.length);
    if (offer.text.startsWith(written)) return this.#advance(current, written.length, at);
    const pair = written.slice(-2);
    if (PAIRS.includes(pair) && offer.text.startsWith(written.slice(0, -1))) {
      current.after = pair.charAt(1) + current.after;
      current.closers = pair.charAt(1) + current.closers;
      return this.#advance(current, written.length - 1, at);
    }
    return false;
  }

  #advance(current: Current, length: number, at: number): boolean {
    const step = length - current.typed;
    current.typed = length;
    // Fingers bring one character at a time, or a line break with its indentation.
    const inserted = current.shown.offer.text.slice(length - Math.max(0, step), length);
    if (step > 1 && !/^\r?\n[ \t]*$/.test(inserted)) current.hasTaken = true;
    else current.byHand = Math.max(0, current.byHand + step);
    current.isThrough = current.shown.offer.text.slice(length) === current.closers;
    if (current.hasTaken && length === current.shown.offer.text.length) this.#end(at);
    return true;
  }

  #end(at: number): void {
    const current = this.#current;
    this.#current = undefined;
    if (current === undefined) return;
    const { shown, typed, byHand, hasTaken, isThrough } = current;
    const isWhole = typed === shown.offer.text.length;
    if (hasTaken) {
      this.#report({ fate: isWhole ? "accepted" : "part", shown, characters: typed - byHand });
      const text = shown.offer.text.slice(0, typed);
      const start = shown.offset;
      this.#kept.push({ shown, text, dueAt: at + SURVIVAL_MS, start, end: start + typed });
    } else if (isThrough) {
      this.#report({ fate: "typed", shown, characters: 0 });
    } else if (at - current.at >= SEEN_MS) {
      this.#report({ fate: "rejected", shown, characters: 0 });
    }
  }

  #judge(isDue: (kept: Kept) => boolean): void {
    const due = this.#kept.filter(isDue);
    if (due.length === 0) return;
    this.#kept = this.#kept.filter((kept) => !isDue(kept));
    for (const { shown, text, start, end } of due) {
      const now = this.#texts.get(shown.uri)?.slice(start, end) ?? "";
      this.#report({ fate: isStillThere(text, now) ? "survived" : "lost", shown, characters: text.length });
    }
  }
}

/** One for each offer of the answer. */
function eachOf(shown: ShownOffer): ShownOffer[] {
  const { others = [], ...first } = shown;
  return [first, ...others.map((other) => ({ ...first, features: undefined, ...other }))];
}

/** An offer for the rest of the place, as one that begins where the current one did; none where closers stand between. */
function sinceBeginning({ shown, typed, closers }: Current, rest: ShownOffer): ShownOffer[] {
  if (closers !== "" || rest.offset !== shown.offset + typed) return [];
  const { text, replaceRight } = rest.offer;
  return [{ ...rest, offset: shown.offset, offer: { text: shown.offer.text.slice(0, typed) + text, replaceRight } }];
}

function isRest(current: Current, shown: ShownOffer): boolean {
  const { offer, uri, offset } = current.shown;
  return (
    shown.uri === uri && shown.offset === offset + current.typed && shown.offer.text === offer.text.slice(current.typed)
  );
}

/** White space does not count: formatters move it. */
function isStillThere(accepted: string, now: string): boolean {
  const wanted = accepted.replace(/\s+/g, "");
  const found = now.replace(/\s+/g, "");
  return found.includes(wanted) || distance(wanted, found) <= CHANGED_SHARE * wanted.length;
}

/** An edit inside the text or across its border belongs to it. */
function move(kept: Kept, edit: Edit): void {
  const grown = edit.inserted - (edit.end - edit.start);
  if (edit.end <= kept.start) {
    kept.start += grown;
    kept.end += grown;
  } else if (edit.start < kept.end) {
    kept.start = Math.min(kept.start, edit.start);
    kept.end = Math.max(kept.end, edit.end) + grown;
  }
}

/** The one replaced stretch that turns `before` into `after`. */
function editBetween(before: string, after: string): Edit {
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && before.charCodeAt(start) === after.charCodeAt(start)) start += 1;
  let tail = 0;
  while (
    tail < shorter - start &&
    before.charCodeAt(before.length - 1 - tail) === after.charCodeAt(after.length - 1 - tail)
  )
    tail += 1;
  return { start, end: before.length - tail, inserted: after.length - tail - start };
}
