// What was just offered, given again while the person types along it or steps back.
import type { Mode } from "../domain.ts";
import type { Cursor } from "./prompt.ts";

/** Enough for the last few places; each entry holds one line of text and the file before it. */
const CAPACITY = 50;

interface Offered {
  readonly path: string;
  readonly mode: Mode;
  readonly before: string;
  readonly after: string;
  readonly text: string;
}

export class RecentCompletions {
  #entries: Offered[] = [];

  add(cursor: Cursor, mode: Mode, text: string): void {
    const before = cursor.text.slice(0, cursor.offset);
    const after = cursor.text.slice(cursor.offset);
    this.#entries.unshift({ path: cursor.path, mode, before, after, text });
    this.#entries.length = Math.min(this.#entries.length, CAPACITY);
  }

  /** The rest of an offer whose beginning has been typed since; nothing else may have changed in the file. */
  find(cursor: Cursor, mode: Mode): string | undefined {
    const before = cursor.text.slice(0, cursor.offset);
    const after = cursor.text.slice(cursor.offset);
    for (const entry of this.#entries) {
      if (entry.path !== cursor.path || entry.mode !== mode || entry.after !== after) continue;
      if (!before.startsWith(entry.before)) continue;
      const typed = before.slice(entry.before.length);
      if (entry.text.startsWith(typed) && entry.text.length > typed.length) return entry.text.slice(typed.length);
    }
    return undefined;
  }

  /** The index or the models changed: what was offered may no longer be the answer. */
  clear(): void {
    this.#entries = [];
  }
}
