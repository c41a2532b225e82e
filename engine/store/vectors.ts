// Vectors by node id, and the search for the nearest: the signs in memory choose, the stored numbers decide by cosine.
import type { Level, Vector } from "../domain.ts";
import { toBlob } from "./blobs.ts";
import type { StorePrecision } from "./precision.ts";
import { decodeVector, encodeVector, PRECISIONS, type Precision, precisionOf } from "./quantise.ts";
import { LEVEL_NUMBERS, type Sql, type Statement } from "./schema.ts";
import type { Scope, Sketches } from "./sketches.ts";

export interface Nearest {
  readonly id: number;
  /** Cosine. */
  readonly score: number;
}

/** Up to so many nodes every stored vector is compared; above, those whose signs come nearest. */
export const EXACT_NODES = 4096;

/** How many nodes the signs choose for each one wanted, and at least: `precis bench retrieval` prints the recall. */
const CHOSEN_PER_RESULT = 6;
const CHOSEN_AT_LEAST = 384;

export class VectorTable {
  readonly #vectorDim: number;
  readonly #sketches: Sketches;
  readonly #precision: StorePrecision;
  readonly #insert: Statement;
  readonly #replace: Statement;
  readonly #remove: Statement;
  readonly #get: Statement;
  readonly #rank: Statement;

  constructor(sql: Sql, vectorDim: number, sketches: Sketches, precision: StorePrecision) {
    this.#precision = precision;
    this.#vectorDim = vectorDim;
    this.#sketches = sketches;
    this.#insert = sql.prepare("INSERT INTO vectors (id, precision, vector) VALUES (?, ?, ?)");
    this.#replace = sql.prepare("UPDATE vectors SET precision = ?, vector = ? WHERE id = ?");
    this.#remove = sql.prepare("DELETE FROM vectors WHERE id = ?");
    this.#get = sql.prepare("SELECT precision, vector FROM vectors WHERE id = ?");
    // Signs alone are compared by this table itself; a distance of null sorts them last meanwhile.
    this.#rank = sql.prepare(
      `SELECT id, precision, CASE precision
         WHEN ${PRECISIONS.float32} THEN vec_distance_cosine(vector, ?)
         WHEN ${PRECISIONS.int8} THEN vec_distance_cosine(vec_int8(vector), vec_int8(?)) END AS distance
       FROM vectors WHERE id IN (SELECT value FROM json_each(?)) ORDER BY distance IS NULL, distance, id`,
    );
  }

  /** `names`: how many identifiers a chunk has, 0 above chunks. */
  insert(id: number, vector: Vector, level: Level, names: number): void {
    const precision = level === "chunk" ? this.#precision.current.vectors : "float32";
    this.#insert.run(id, PRECISIONS[precision], this.#blobOf(vector, precision));
    this.#sketches.insert(id, LEVEL_NUMBERS[level], names, vector);
  }

  /** Of a chunk. */
  replace(id: number, vector: Vector): void {
    const precision = this.#precision.current.vectors;
    this.#replace.run(PRECISIONS[precision], this.#blobOf(vector, precision), id);
    this.#sketches.replace(id, vector);
  }

  remove(id: number): void {
    this.#remove.run(id);
    this.#sketches.remove(id);
  }

  get(id: number): Vector | undefined {
    return this.stored(id)?.vector;
  }

  stored(id: number): { readonly vector: Vector; readonly precision: Precision } | undefined {
    const row = this.#get.get(id) as { precision: number; vector: Uint8Array } | undefined;
    if (row === undefined) return undefined;
    const precision = precisionOf(row.precision);
    const bytes = precision === "bit" ? (this.#sketches.signs(id) ?? new Uint8Array(0)) : row.vector;
    return { vector: decodeVector(bytes, precision).subarray(0, this.#vectorDim), precision };
  }

  /** Nearest first; nothing for a query without direction. */
  search(query: Vector, k: number, levels: Scope["levels"], except: ReadonlySet<number>): Nearest[] {
    if (k <= 0 || !hasDirection(query)) return [];
    const isExact = this.#sketches.count() <= EXACT_NODES;
    const chosen = isExact
      ? this.#sketches.ids(levels).filter((id) => !except.has(id))
      : this.#sketches.nearest(query, Math.max(CHOSEN_AT_LEAST, k * CHOSEN_PER_RESULT), levels, except);
    return this.#nearestOf(chosen, query, k);
  }

  /** The nearest by the stored numbers alone, every node compared: what `search` is measured against. */
  searchExactly(query: Vector, k: number, levels: Scope["levels"]): Nearest[] {
    return hasDirection(query) ? this.#nearestOf(this.#sketches.ids(levels), query, k) : [];
  }

  #nearestOf(ids: readonly number[], query: Vector, k: number): Nearest[] {
    const rows = this.#rank.all(toBlob(query), encodeVector(query, "int8"), JSON.stringify(ids)) as Distance[];
    const bySigns = rows.filter(({ precision }) => precision === PRECISIONS.bit).map(({ id }) => id);
    const cosines = this.#sketches.cosinesOf(bySigns, query);
    // The distance to a vector of zeros, or of no numbers, is null.
    const found = rows.map(({ id, distance }) => ({
      id,
      score: cosines.get(id) ?? (distance === null ? 0 : 1 - distance),
    }));
    if (bySigns.length > 0) found.sort((a, b) => b.score - a.score || a.id - b.id);
    return found.slice(0, k);
  }

  #blobOf(vector: Vector, precision: Precision): Uint8Array {
    if (vector.length === this.#vectorDim) return encodeVector(vector, precision);
    throw new RangeError(`a vector of ${vector.length} numbers, the store holds ${this.#vectorDim}`);
  }
}

interface Distance {
  readonly id: number;
  readonly precision: number;
  readonly distance: number | null;
}

/** False for zeros and for what is no number: nothing is nearer to those than anything else. */
function hasDirection(vector: Vector): boolean {
  const length = Math.hypot(...vector);
  return Number.isFinite(length) && length > 0;
}
