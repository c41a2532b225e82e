// Vectors by node id, and the search for the nearest: the signs in memory choose, the stored numbers decide by cosine.
import type { Level, Vector } from "../domain.ts";
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
  readonly #insert: Statement;
  readonly #replace: Statement;
  readonly #remove: Statement;
  readonly #get: Statement;
  readonly #rank: Statement;

  constructor(sql: Sql, vectorDim: number, sketches: Sketches) {
    this.#vectorDim = vectorDim;
    this.#sketches = sketches;
    this.#insert = sql.prepare("INSERT INTO vectors (id, vector) VALUES (?, ?)");
    this.#replace = sql.prepare("UPDATE vectors SET vector = ? WHERE id = ?");
    this.#remove = sql.prepare("DELETE FROM vectors WHERE id = ?");
    this.#get = sql.prepare("SELECT vector FROM vectors WHERE id = ?");
    this.#rank = sql.prepare(
      `SELECT id, vec_distance_cosine(vector, ?) AS distance
       FROM vectors WHERE id IN (SELECT value FROM json_each(?)) ORDER BY distance IS NULL, distance, id LIMIT ?`,
    );
  }

  /** `names`: how many identifiers a chunk has, 0 above chunks. */
  insert(id: number, vector: Vector, level: Level, names: number): void {
    this.#insert.run(id, this.#blobOf(vector));
    this.#sketches.insert(id, LEVEL_NUMBERS[level], names, vector);
  }

  replace(id: number, vector: Vector): void {
    this.#replace.run(this.#blobOf(vector), id);
    this.#sketches.replace(id, vector);
  }

  remove(id: number): void {
    this.#remove.run(id);
    this.#sketches.remove(id);
  }

  get(id: number): Vector | undefined {
    const row = this.#get.get(id) as { vector: Uint8Array } | undefined;
    return row === undefined ? undefined : fromBlob(row.vector);
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
    const rows = this.#rank.all(toBlob(query), JSON.stringify(ids), k) as { id: number; distance: number | null }[];
    // The distance to a vector of zeros, or of no numbers, is null.
    return rows.map(({ id, distance }) => ({ id, score: distance === null ? 0 : 1 - distance }));
  }

  #blobOf(vector: Vector): Uint8Array {
    if (vector.length === this.#vectorDim) return toBlob(vector);
    throw new RangeError(`a vector of ${vector.length} numbers, the store holds ${this.#vectorDim}`);
  }
}

/** False for zeros and for what is no number: nothing is nearer to those than anything else. */
function hasDirection(vector: Vector): boolean {
  const length = Math.hypot(...vector);
  return Number.isFinite(length) && length > 0;
}

export function toBlob(numbers: Float32Array): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}

/** Copies, since SQLite's bytes may start anywhere and a Float32Array may not. */
export function fromBlob(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}
