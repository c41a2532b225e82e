// Chunks by the Jaccard overlap of their identifiers with the wanted ones, exactly, without reading every list.
//
// Lists are read rarest first. A chunk not met before the last `rest` of `n` wanted identifiers shares at most `rest` of
// them, and so overlaps by at most rest / n: once k chunks surely do better, nothing new is taken in. What remains of the
// counts is completed from the common lists where they are in memory, else from the few chunks that can still win.
import type { Posting, Postings } from "./postings.ts";
import type { Sketches } from "./sketches.ts";

/** Chunks whose identifiers are read one by one in place of a common list. */
const READ_ONE_BY_ONE = 256;

/** Shorter lists in memory are counted sooner than they are weighed. */
const LONG = 16_384;

/** Chunks whose scores bound the result while lists are read. */
const BOUNDING = 4096;

/** Steps in which a score's place among all is found. */
const STEPS = 2048;

export class Overlap {
  readonly #postings: Postings;
  readonly #sketches: Sketches;
  /** Shared identifiers by chunk id; all 0 between two searches. */
  #shared = new Uint16Array(0);

  constructor(postings: Postings, sketches: Sketches) {
    this.#postings = postings;
    this.#sketches = sketches;
  }

  /** At most `k` chunks, best first, equal ones by id; `wanted` are distinct. */
  search(wanted: readonly string[], k: number, except: ReadonlySet<number>): { id: number; score: number }[] {
    if (wanted.length === 0 || k <= 0) return [];
    if (this.#shared.length < this.#sketches.idLimit) this.#shared = new Uint16Array(this.#sketches.idLimit);
    const met: number[] = [];
    try {
      const alive = this.#count(wanted, k, except, met);
      return alive
        .map((id) => ({ id, score: this.#scoreOf(id, this.#shared[id] ?? 0, wanted.length) }))
        .sort((a, b) => b.score - a.score || a.id - b.id)
        .slice(0, k);
    } finally {
      for (const id of met) this.#shared[id] = 0;
    }
  }

  /** Chunks that may be among the best `k`, their counts complete. `met` gets every chunk with a count. */
  #count(wanted: readonly string[], k: number, except: ReadonlySet<number>, met: number[]): number[] {
    const lists = wanted
      .map((name) => ({ name, list: this.#postings.probe(name) }))
      .sort((a, b) => sizeOf(a.list) - sizeOf(b.list));
    let isOpen = true;
    let alive = met;
    for (const [done, { name, list }] of lists.entries()) {
      const rest = lists.length - done;
      if (met.length >= k && (!list.isWhole || list.length >= LONG)) {
        // Any chunks give a bound that holds; the first ones have the rarest identifiers and so the best scores.
        const floor = this.#floor(alive.slice(0, BOUNDING), k, lists.length, except);
        isOpen &&= rest / lists.length >= floor;
        if (!isOpen) {
          alive = alive.filter((id) => this.#atMost(id, rest, lists.length) >= floor && !except.has(id));
          if (!list.isWhole && alive.length <= READ_ONE_BY_ONE) {
            this.#completeFrom(alive, lists.slice(done));
            return alive;
          }
        }
      }
      this.#add(list.isWhole ? list : this.#postings.whole(name), isOpen, met);
    }
    const floor = this.#floor(alive, k, lists.length, except);
    return alive.filter((id) => this.#atMost(id, 0, lists.length) >= floor && !except.has(id));
  }

  #add({ ids, length }: Posting, isOpen: boolean, met: number[]): void {
    const shared = this.#shared;
    for (let at = 0; at < length; at += 1) {
      const id = ids[at] as number;
      const count = shared[id];
      if (count === undefined || (count === 0 && !isOpen)) continue;
      if (count === 0) met.push(id);
      shared[id] = count + 1;
    }
  }

  #completeFrom(ids: readonly number[], lists: readonly { readonly name: string }[]): void {
    const rest = new Set(lists.map(({ name }) => name));
    for (const [id, names] of this.#postings.namesOf(ids)) {
      const more = names.reduce((sum, name) => sum + (rest.has(name) ? 1 : 0), 0);
      this.#shared[id] = (this.#shared[id] ?? 0) + more;
    }
  }

  /** A score that at least `k` chunks have already, rounded down. */
  #floor(ids: readonly number[], k: number, wanted: number, except: ReadonlySet<number>): number {
    const histogram = new Uint32Array(STEPS + 1);
    for (const id of ids) {
      if (except.has(id)) continue;
      const step = Math.floor(this.#scoreOf(id, this.#shared[id] ?? 0, wanted) * STEPS);
      histogram[step] = (histogram[step] ?? 0) + 1;
    }
    let above = 0;
    for (let step = STEPS; step > 0; step -= 1) {
      above += histogram[step] ?? 0;
      if (above >= k) return step / STEPS;
    }
    return 0;
  }

  #scoreOf(id: number, shared: number, wanted: number): number {
    const names = this.#sketches.namesOf(id);
    return names === 0 ? 0 : Math.min(1, shared / (wanted + names - shared));
  }

  /** The score if the chunk has as many of the `rest` as it can hold. */
  #atMost(id: number, rest: number, wanted: number): number {
    const names = this.#sketches.namesOf(id);
    const shared = Math.min((this.#shared[id] ?? 0) + rest, names);
    return this.#scoreOf(id, shared, wanted);
  }
}

function sizeOf({ length, isWhole }: Posting): number {
  return isWhole ? length : Number.MAX_SAFE_INTEGER;
}
