// A few caches side by side, so that another file or another mode does not cost what was read before.
import type { ReaderInput } from "../domain.ts";
import type { KeyValues, KvShape } from "./kvCache.ts";

/** Two files or two modes in turn, and one more. */
const MOST = 3;

/** What all caches together may grow to, in bytes. */
const ROOM = 160 * 2 ** 20;

const NOTHING: ReaderInput = { pseudoTokens: new Float32Array(0), tokens: new Int32Array(0) };

type CachedShape = KvShape & { readonly maxTokens: number };

/** How many there will be at most. */
export function mostCaches({ maxTokens, layers, kvHeads, headDim }: CachedShape): number {
  const bytes = maxTokens * layers * 2 * kvHeads * headDim * Float32Array.BYTES_PER_ELEMENT;
  return Math.min(MOST, Math.max(1, Math.floor(ROOM / bytes)));
}

export class KvCaches {
  readonly #create: () => KeyValues;
  readonly #most: number;
  /** Last used first. */
  readonly #caches: KeyValues[];
  readonly first: KeyValues;

  constructor(shape: CachedShape, create: () => KeyValues) {
    this.#most = mostCaches(shape);
    this.#create = create;
    this.first = create();
    this.#caches = [this.first];
  }

  /**
   * The cache that shares most with `input`. Where it would lose more than it keeps, another is taken: a new one while there is
   * room, then the one used longest ago.
   */
  take(input: ReaderInput): KeyValues {
    const best = this.#caches.reduce((a, b) => (b.sharedWith(input) > a.sharedWith(input) ? b : a));
    const shared = best.sharedWith(input);
    const isKept = shared >= best.length - shared;
    const taken = isKept ? best : this.#caches.length < this.#most ? this.#added() : (this.#caches.at(-1) ?? best);
    this.#caches.splice(this.#caches.indexOf(taken), 1);
    this.#caches.unshift(taken);
    return taken;
  }

  forget(): void {
    for (const cache of this.#caches) cache.rewindTo(NOTHING);
  }

  close(): void {
    for (const cache of this.#caches) cache.close();
  }

  #added(): KeyValues {
    const cache = this.#create();
    this.#caches.push(cache);
    return cache;
  }
}
