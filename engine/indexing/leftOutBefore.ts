// What the last whole pass left out for its text: such a file is not read again while its size and time stay.

import type { LeftOutFile } from "../store/leftOut.ts";
import type { Store } from "../store/store.ts";
import type { ScannedFile } from "./scan.ts";
import type { SkippedFile, SkipReason } from "./skipReasons.ts";

/** Raise it whenever the rules about texts change. */
const RULES_VERSION = 1;

/** Reasons that a text alone decides; the others hang on settings or on the moment. */
const OF_TEXT: ReadonlySet<SkipReason> = new Set(["binary", "not-utf8", "secret", "generated", "minified", "data"]);

export class LeftOutBefore {
  readonly #store: Store;
  readonly #before: ReadonlyMap<string, LeftOutFile>;
  readonly #now: LeftOutFile[] = [];
  #isSame = true;

  constructor(store: Store, isForced: boolean) {
    const before = isForced ? [] : store.leftOut.filesBy(RULES_VERSION);
    this.#store = store;
    this.#before = new Map(before.map((file) => [file.path, file]));
  }

  /** Why it was left out, if it has not changed since. */
  find({ path, size, mtimeMs }: ScannedFile): SkippedFile | undefined {
    const known = this.#before.get(path);
    if (known?.size !== size || known.mtimeMs !== mtimeMs) return undefined;
    this.#now.push(known);
    const { detail } = known;
    return { path, reason: known.reason as SkipReason, ...(detail === null ? {} : { detail }) };
  }

  /** The file was read and left out just now. */
  add({ path, size, mtimeMs }: ScannedFile, { reason, detail }: SkippedFile): void {
    if (!OF_TEXT.has(reason)) return;
    this.#isSame = false;
    this.#now.push({ path, size, mtimeMs, reason, detail: detail ?? null });
  }

  /** At the end of a whole pass. */
  keep(): void {
    if (this.#isSame && this.#now.length === this.#before.size) return;
    this.#store.leftOut.replace(RULES_VERSION, this.#now);
  }
}
