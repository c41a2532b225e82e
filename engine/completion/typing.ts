// What a person does in each open document: how the text last changed, and what became of the offer last shown.
import type { Offer } from "./filters/filter.ts";
import { NO_RHYTHM, type Rhythm, withKeystroke, withLatency, withOutcome } from "./rhythm.ts";
import type { LastChange } from "./signals.ts";

/** An offer on the screen, by what stands around it. */
interface Shown {
  readonly before: string;
  readonly after: string;
  readonly offers: readonly Offer[];
}

interface Followed {
  text: string;
  version: number;
  lastChange: LastChange;
  changedAt: number;
  shown: Shown | undefined;
}

/** Documents are few; a text is held once, shared with the document it came from. */
export class Typing {
  readonly #documents = new Map<string, Followed>();
  #undone = new Map<string, number>();
  #rhythm: Rhythm = NO_RHYTHM;
  #lately: boolean[] = [];

  get rhythm(): Rhythm {
    return this.#rhythm;
  }

  /** Offers that were shown and whose fate is known, of the last twenty, and how many of them were accepted. */
  get lately(): { readonly shown: number; readonly accepted: number } {
    return { shown: this.#lately.length, accepted: this.#lately.filter(Boolean).length };
  }

  /** A new version of a document, or a document not seen before. `at` in milliseconds of any steady clock. */
  changed(uri: string, version: number, text: string, at: number): void {
    const known = this.#documents.get(uri);
    if (known === undefined) {
      const changedAt = Number.NEGATIVE_INFINITY;
      this.#documents.set(uri, { text, version, lastChange: "none", changedAt, shown: undefined });
      return;
    }
    if (known.text === text) {
      known.version = version;
      return;
    }
    known.lastChange = kindOfChange(known.text, text);
    if (known.lastChange === "typed") this.#rhythm = withKeystroke(this.#rhythm, at);
    this.#judgeShown(known, text, at);
    known.text = text;
    known.version = version;
    known.changedAt = at;
  }

  closed(uri: string): void {
    this.#documents.delete(uri);
    this.#undone.delete(uri);
  }

  /** The editor says that this version was made by undo or redo; it may say so before or after the version itself comes. */
  undone(uri: string, version: number): void {
    this.#undone.set(uri, version);
  }

  lastChange(uri: string): LastChange {
    const known = this.#documents.get(uri);
    if (known === undefined) return "none";
    return this.#undone.get(uri) === known.version ? "undone" : known.lastChange;
  }

  sinceChangeMs(uri: string, now: number): number {
    return now - (this.#documents.get(uri)?.changedAt ?? Number.NEGATIVE_INFINITY);
  }

  /** `others`: what the person can turn to in place of `offer`. */
  shown(uri: string, offset: number, offer: Offer, others: readonly Offer[] = []): void {
    const known = this.#documents.get(uri);
    if (known === undefined) return;
    const { text } = known;
    known.shown = { before: text.slice(0, offset), after: text.slice(offset), offers: [offer, ...others] };
  }

  answered(ms: number): void {
    this.#rhythm = withLatency(this.#rhythm, ms);
  }

  /** Typing along an offer keeps it, its whole text in place is acceptance, anything else dismisses it. */
  #judgeShown(known: Followed, text: string, at: number): void {
    const { shown } = known;
    if (shown === undefined) return;
    const { before, after, offers } = shown;
    if (offers.some((offer) => text === before + offer.text + after.slice(offer.replaceRight))) {
      known.lastChange = "accepted";
      known.shown = undefined;
      this.#outcome(true, at);
      return;
    }
    const typed =
      text.endsWith(after) && text.startsWith(before)
        ? text.slice(before.length, text.length - after.length)
        : undefined;
    if (typed !== undefined && offers.some((offer) => offer.text.startsWith(typed))) return;
    known.shown = undefined;
    this.#outcome(false, at);
  }

  #outcome(isAccepted: boolean, at: number): void {
    this.#rhythm = withOutcome(this.#rhythm, isAccepted, at);
    this.#lately = [...this.#lately, isAccepted].slice(-20);
  }
}

/** Longer insertions are pastes or accepted list items. */
const TYPED_CHARACTERS = 2;

/** By the one stretch that differs; a line break with the editor's indentation behind it counts as typed. */
export function kindOfChange(before: string, after: string): LastChange {
  if (after.length < before.length) return "deleted";
  const shorter = before.length;
  let start = 0;
  while (start < shorter && before.charCodeAt(start) === after.charCodeAt(start)) start += 1;
  let tail = 0;
  while (tail < shorter - start && before.charCodeAt(shorter - 1 - tail) === after.charCodeAt(after.length - 1 - tail))
    tail += 1;
  const inserted = after.slice(start, after.length - tail);
  if (inserted.length <= TYPED_CHARACTERS || /^\r?\n\s*$/.test(inserted)) return "typed";
  return "inserted";
}
