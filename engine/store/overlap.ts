// Chunks by the Jaccard overlap of their identifiers with the wanted ones, exactly, without reading every list.
//
// Lists are read rarest first. A chunk not met before the last `rest` of `n` wanted identifiers shares at most `rest` of
// them, and so overlaps by at most rest / n: once k chunks surely do better, nothing new is taken in. What remains of the
// counts is completed from the common lists where they are in memory, else from the few chunks that can still win.
import type { Posting, Postings } from "./postings.ts";
import type { Sketches } from "./sketches.ts";

/** Identifiers in more chunks than this, and than this share of all, are common: their lists are read only where they can change a result. */
const COMMON = 1024;
const COMMON_SHARE = 1 / 64;

/** Chunks whose identifiers are read one by one in place of a common list. */
const READ_ONE_BY_ONE = 256;

/** The same for each common list, as a share of all chunks: reading a row costs as much as passing by so many ids. */
const READ_SHARE = 1 / 4000;

/** Shorter lists in memory are counted sooner than they are weighed. */
const LONG = 8192;

/** Looking one chunk up in a list costs as much as passing by so many of its ids. */
const LOOK_UP = 12;

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
    const most = Math.max(COMMON, Math.ceil(COMMON_SHARE * this.#sketches.count()));
    const lists = wanted
      .map((name) => ({ name, list: this.#postings.probe(name, most) }))
      .sort((a, b) => sizeOf(a.list) - sizeOf(b.list));
    const leaders = new Leaders(this.#shared, k);
    let isOpen = true;
    let alive = met;
    for (const [done, { name, list }] of lists.entries()) {
      const rest = lists.length - done;
      if (met.length >= k && (!list.isWhole || list.length >= LONG)) {
        const floor = this.#floor(leaders.ids, k, lists.length, except);
        isOpen &&= rest / lists.length >= floor;
        if (!isOpen) {
          alive = alive.filter((id) => this.#atMost(id, rest, lists.length) >= floor && !except.has(id));
          const oneByOne = Math.max(READ_ONE_BY_ONE, READ_SHARE * rest * this.#sketches.count());
          if (!list.isWhole && alive.length <= oneByOne) {
            this.#completeFrom(alive, lists.slice(done));
            return alive;
          }
        }
      }
      const whole = list.isWhole ? list : this.#postings.whole(name);
      if (isOpen) this.#add(whole, met, leaders);
      else if (alive.length * LOOK_UP < whole.length) this.#lookUp(whole, alive, leaders);
      else this.#addKnown(whole, leaders);
    }
    const floor = this.#floor(alive, k, lists.length, except);
    return alive.filter((id) => this.#atMost(id, 0, lists.length) >= floor && !except.has(id));
  }

  #add({ ids, length }: Posting, met: number[], leaders: Leaders): void {
    const shared = this.#shared;
    for (let at = 0; at < length; at += 1) {
      const id = ids[at] as number;
      const count = shared[id];
      if (count === undefined) continue;
      if (count === 0) met.push(id);
      shared[id] = count + 1;
      if (count + 1 === leaders.least) leaders.ids.push(id);
    }
    leaders.trim();
  }

  /** Takes in no chunk that has no count yet. */
  #addKnown({ ids, length }: Posting, leaders: Leaders): void {
    const shared = this.#shared;
    for (let at = 0; at < length; at += 1) {
      const id = ids[at] as number;
      const count = shared[id];
      if (count === undefined || count === 0) continue;
      shared[id] = count + 1;
      if (count + 1 === leaders.least) leaders.ids.push(id);
    }
    leaders.trim();
  }

  /** The same for those ids alone. */
  #lookUp(list: Posting, ids: readonly number[], leaders: Leaders): void {
    const shared = this.#shared;
    for (const id of ids) {
      if (!holds(list, id)) continue;
      const count = (shared[id] as number) + 1;
      shared[id] = count;
      if (count === leaders.least) leaders.ids.push(id);
    }
    leaders.trim();
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

/** The chunks that share most so far: any chunks give a bound that holds, these the best. */
class Leaders {
  readonly #shared: Uint16Array;
  readonly #k: number;
  /** Those that share at least `least`. */
  ids: number[] = [];
  least = 1;

  constructor(shared: Uint16Array, k: number) {
    this.#shared = shared;
    this.#k = k;
  }

  trim(): void {
    while (this.ids.length > BOUNDING) {
      const fewer = this.ids.filter((id) => (this.#shared[id] ?? 0) > this.least);
      if (fewer.length < 2 * this.#k) return;
      this.ids = fewer;
      this.least += 1;
    }
  }
}

/** Ids rise. */
function holds({ ids, length }: Posting, id: number): boolean {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ids[middle] as number) < id) low = middle + 1;
    else high = middle;
  }
  return low < length && ids[low] === id;
}

function sizeOf({ length, isWhole }: Posting): number {
  return isWhole ? length : Number.MAX_SAFE_INTEGER;
}
