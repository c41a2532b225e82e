// What search keeps in memory of every node: its level, how many identifiers it has, and the signs of its vector. About
// 50 bytes a node, read once and then kept in step through `changes`, the log of ids that every writer leaves behind.
import type { Level, Vector } from "../domain.ts";
import { LEVEL_NUMBERS, type Sql, type Statement } from "./schema.ts";

/** Which nodes a search may find. */
export interface Scope {
  /** All levels when absent. */
  readonly levels?: readonly Level[];
  /** No node of this file. */
  readonly exceptPath?: string;
}

/** Rows of the log that stay; a reader further behind reads everything again. */
const LOG_ROWS = 4096;

/** Nodes ranked by the product for each one asked for. */
const RANKED_PER_RESULT = 16;

interface SketchRow {
  readonly id: number;
  readonly level: number;
  readonly names: number;
  readonly code: Uint8Array;
}

export class Sketches {
  readonly #words: number;
  readonly #put: Statement;
  readonly #recode: Statement;
  readonly #drop: Statement;
  readonly #log: Statement;
  readonly #newest: Statement;
  readonly #oldest: Statement;
  readonly #page: Statement;
  readonly #touched: Statement;
  readonly #code: Statement;
  readonly #trim: Statement;
  #ids = new Int32Array(0);
  #levels = new Uint8Array(0);
  #names = new Uint16Array(0);
  #codes = new Int32Array(0);
  /** Node id -> 1 + its place in the arrays above; 0 for none. */
  #placeOf = new Int32Array(0);
  #count = 0;
  #seen: number | undefined;
  #loadedTo = 0;
  #isLoaded = false;

  constructor(sql: Sql, vectorDim: number) {
    this.#words = Math.ceil(vectorDim / 32);
    this.#put = sql.prepare("INSERT INTO sketches (id, level, names, code) VALUES (?, ?, ?, ?)");
    this.#recode = sql.prepare("UPDATE sketches SET code = ? WHERE id = ?");
    this.#drop = sql.prepare("DELETE FROM sketches WHERE id = ?");
    this.#log = sql.prepare("INSERT INTO changes (id) VALUES (?)");
    this.#newest = sql.prepare("SELECT ifnull(max(seq), 0) AS seq FROM changes");
    this.#oldest = sql.prepare("SELECT ifnull(min(seq), 0) AS seq FROM changes");
    this.#page = sql.prepare("SELECT id, level, names, code FROM sketches WHERE id > ? ORDER BY id LIMIT ?");
    this.#touched = sql.prepare(
      `SELECT c.id, s.level, s.names, s.code FROM (SELECT DISTINCT id FROM changes WHERE seq > ?) c
       LEFT JOIN sketches s ON s.id = c.id ORDER BY c.id`,
    );
    this.#code = sql.prepare("SELECT code FROM sketches WHERE id = ?");
    this.#trim = sql.prepare("DELETE FROM changes WHERE seq <= (SELECT max(seq) FROM changes) - ?");
  }

  insert(id: number, level: number, names: number, vector: Vector): void {
    this.#put.run(id, level, Math.min(names, 0xffff), signsOf(vector));
    this.#log.run(id);
  }

  replace(id: number, vector: Vector): void {
    this.#recode.run(signsOf(vector), id);
    this.#log.run(id);
  }

  remove(id: number): void {
    this.#drop.run(id);
    this.#log.run(id);
  }

  /** Forgets the older part of the log. */
  tidy(): void {
    this.#trim.run(LOG_ROWS);
  }

  /** The stored signs of a node's vector, one bit a number. */
  signs(id: number): Uint8Array | undefined {
    return (this.#code.get(id) as { code: Uint8Array } | undefined)?.code;
  }

  /** Reads up to `rows` more rows of those never read; true once all are there. */
  load(rows: number): boolean {
    if (this.#isLoaded) return true;
    // What is written while this reads comes again through the log, which changes nothing.
    this.#seen ??= (this.#newest.get() as { seq: number }).seq;
    const page = this.#page.all(this.#loadedTo, rows) as SketchRow[];
    for (const row of page) this.#set(row);
    this.#loadedTo = page.at(-1)?.id ?? this.#loadedTo;
    this.#isLoaded = page.length < rows;
    return this.#isLoaded;
  }

  /** Takes in what was written since the last call. Ids that came, changed or went, rising; undefined for "anything". */
  catchUp(): readonly number[] | undefined {
    const isFirst = !this.#isLoaded;
    while (!this.load(Number.MAX_SAFE_INTEGER));
    const seen = this.#seen ?? 0;
    const { seq: newest } = this.#newest.get() as { seq: number };
    if (newest === seen) return isFirst ? undefined : [];
    const { seq: oldest } = this.#oldest.get() as { seq: number };
    if (oldest > seen + 1 || newest < seen) {
      this.#forget();
      this.catchUp();
      return undefined;
    }
    const rows = this.#touched.all(seen) as (SketchRow | { id: number; level: null })[];
    for (const row of rows) {
      if (row.level === null) this.#unset(row.id);
      else this.#set(row);
    }
    this.#seen = newest;
    return isFirst ? undefined : rows.map(({ id }) => id);
  }

  /** Nodes known; of them those of the given levels. */
  count(levels?: readonly Level[]): number {
    if (levels === undefined) return this.#count;
    const wanted = levelSet(levels);
    let found = 0;
    for (let place = 0; place < this.#count; place += 1) found += wanted[this.#levels[place] ?? 0] ?? 0;
    return found;
  }

  /** Ids of those levels. */
  ids(levels: readonly Level[] | undefined): number[] {
    const wanted = levelSet(levels);
    return [...this.#ids.subarray(0, this.#count)].filter((_, place) => wanted[this.#levels[place] ?? 0] === 1);
  }

  /** One more than the highest id. */
  get idLimit(): number {
    return this.#placeOf.length;
  }

  /** How many identifiers a node has; 0 for one that is not there. */
  namesOf(id: number): number {
    const place = this.#placeOf[id] ?? 0;
    return place === 0 ? 0 : (this.#names[place - 1] ?? 0);
  }

  /**
   * The `k` nodes that the signs say are nearest, nearest first. Those whose signs differ least are ranked by the product
   * of the query's own numbers with the signs, which tells far more than the number of differing signs.
   */
  nearest(query: Vector, k: number, levels: readonly Level[] | undefined, except: ReadonlySet<number>): number[] {
    const sums = sumsOf(query, this.#words * 4);
    const places = this.#leastDiffering(query, k * RANKED_PER_RESULT, levels, except);
    const products = Float32Array.from(places, (place) => this.#productAt(place, sums));
    const least = products.toSorted().at(-k) ?? Number.NEGATIVE_INFINITY;
    const best: { id: number; product: number }[] = [];
    for (let n = 0; n < places.length; n += 1) {
      const product = products[n] as number;
      if (product >= least) best.push({ id: this.#ids[places[n] as number] as number, product });
    }
    return best
      .sort((a, b) => b.product - a.product || a.id - b.id)
      .slice(0, k)
      .map(({ id }) => id);
  }

  /** Cosines of the query with the signs of those nodes. */
  cosinesOf(ids: readonly number[], query: Vector): Map<number, number> {
    if (ids.length === 0) return new Map();
    const sums = sumsOf(query, this.#words * 4);
    const lengths = Math.hypot(...query) * Math.sqrt(query.length);
    return new Map(ids.map((id) => [id, this.#productAt((this.#placeOf[id] ?? 1) - 1, sums) / lengths]));
  }

  #productAt(place: number, sums: Float32Array): number {
    const width = this.#words * 4;
    const bytes = new Uint8Array(this.#codes.buffer, place * width, width);
    let product = 0;
    for (let n = 0; n < width; n += 1) product += sums[n * 256 + (bytes[n] as number)] as number;
    return product;
  }

  /** Places of at least `wanted` nodes where there are so many, all whose signs differ no more than some number. */
  #leastDiffering(
    query: Vector,
    wanted: number,
    levels: readonly Level[] | undefined,
    except: ReadonlySet<number>,
  ): number[] {
    const code = new Int32Array(this.#words);
    new Uint8Array(code.buffer).set(signsOf(query));
    const isWanted = levelSet(levels);
    const distances = this.#distances(code);
    const histogram = new Int32Array(this.#words * 32 + 1);
    for (const id of except) {
      const place = (this.#placeOf[id] ?? 0) - 1;
      if (place >= 0) distances[place] = 0xffff;
    }
    const levelAt = this.#levels;
    for (let place = 0; place < distances.length; place += 1) {
      const distance = distances[place] as number;
      if (isWanted[levelAt[place] as number] !== 1) distances[place] = 0xffff;
      else if (distance < histogram.length) histogram[distance] = (histogram[distance] as number) + 1;
    }
    let limit = 0;
    let within = histogram[0] as number;
    while (limit < histogram.length - 1 && within < wanted) within += histogram[++limit] as number;
    const places: number[] = [];
    for (let place = 0; place < distances.length; place += 1)
      if ((distances[place] as number) <= limit) places.push(place);
    return places;
  }

  /** Differing signs of every place. One pass over flat memory: 15 ns a node, where sqlite-vec's bit search takes 300. */
  #distances(code: Int32Array): Uint16Array {
    const words = this.#words;
    const codes = this.#codes;
    const distances = new Uint16Array(this.#count);
    for (let place = 0, at = 0; place < distances.length; place += 1) {
      let differing = 0;
      for (let word = 0; word < words; word += 1, at += 1) {
        let bits = (codes[at] as number) ^ (code[word] as number);
        bits -= (bits >>> 1) & 0x55555555;
        bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
        differing += Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
      }
      distances[place] = differing;
    }
    return distances;
  }

  #set({ id, level, names, code }: SketchRow): void {
    if (id >= this.#placeOf.length) this.#placeOf = grown(this.#placeOf, id + 1);
    let place = (this.#placeOf[id] ?? 0) - 1;
    if (place < 0) {
      place = this.#count;
      this.#count += 1;
      if (place >= this.#ids.length) this.#grow();
      this.#placeOf[id] = place + 1;
    }
    this.#ids[place] = id;
    this.#levels[place] = level;
    this.#names[place] = names;
    const start = place * this.#words * 4;
    new Uint8Array(this.#codes.buffer, start, this.#words * 4).set(code.subarray(0, this.#words * 4));
  }

  /** The last one moves into the gap. */
  #unset(id: number): void {
    const place = (this.#placeOf[id] ?? 0) - 1;
    if (place < 0) return;
    const last = this.#count - 1;
    const moved = this.#ids[last] ?? 0;
    this.#ids[place] = moved;
    this.#levels[place] = this.#levels[last] ?? 0;
    this.#names[place] = this.#names[last] ?? 0;
    this.#codes.copyWithin(place * this.#words, last * this.#words, (last + 1) * this.#words);
    this.#placeOf[moved] = place + 1;
    this.#placeOf[id] = 0;
    this.#count = last;
  }

  #grow(): void {
    const size = Math.max(1024, this.#ids.length * 2);
    const ids = new Int32Array(size);
    const levels = new Uint8Array(size);
    const names = new Uint16Array(size);
    const codes = new Int32Array(size * this.#words);
    ids.set(this.#ids);
    levels.set(this.#levels);
    names.set(this.#names);
    codes.set(this.#codes);
    this.#ids = ids;
    this.#levels = levels;
    this.#names = names;
    this.#codes = codes;
  }

  #forget(): void {
    this.#count = 0;
    this.#placeOf.fill(0);
    this.#seen = undefined;
    this.#loadedTo = 0;
    this.#isLoaded = false;
  }
}

/** One bit a number, set where it is above 0; the same order of bits as sqlite-vec's. */
export function signsOf(vector: Vector): Uint8Array {
  const signs = new Uint8Array(Math.ceil(vector.length / 32) * 4);
  for (let n = 0; n < vector.length; n += 1)
    if ((vector[n] ?? 0) > 0) signs[n >> 3] = (signs[n >> 3] ?? 0) | (1 << (n & 7));
  return signs;
}

/** For each byte of signs and each value it can have, the sum of the query's numbers with those signs. */
function sumsOf(query: Vector, bytes: number): Float32Array {
  const sums = new Float32Array(bytes * 256);
  for (let byte = 0; byte < bytes; byte += 1) {
    const numbers = query.subarray(byte * 8, byte * 8 + 8);
    sums[byte * 256] = -numbers.reduce((sum, number) => sum + number, 0);
    for (let value = 1; value < 256; value += 1) {
      const lowest = 31 - Math.clz32(value & -value);
      sums[byte * 256 + value] = (sums[byte * 256 + (value & (value - 1))] ?? 0) + 2 * (numbers[lowest] ?? 0);
    }
  }
  return sums;
}

function levelSet(levels: readonly Level[] | undefined): Uint8Array {
  const wanted = new Uint8Array(Object.keys(LEVEL_NUMBERS).length);
  if (levels === undefined) return wanted.fill(1);
  for (const level of levels) wanted[LEVEL_NUMBERS[level]] = 1;
  return wanted;
}

function grown(numbers: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(Math.max(1024, length, numbers.length * 2));
  larger.set(numbers);
  return larger;
}
