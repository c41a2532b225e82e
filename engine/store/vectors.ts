// Vectors by node id in a sqlite-vec table: exact cosine search, fast enough without an approximate index up to
// some hundred thousand nodes.
import type { Vector } from "../domain.ts";
import type { Sql, Statement } from "./schema.ts";

/** Rows of one block of a vec0 table. Freed rows of a block are not used again while any other of it lives. */
const BLOCK_ROWS = 1024;

export function createVectorTable(sql: Sql, vectorDim: number): void {
  sql.exec(`CREATE VIRTUAL TABLE vectors USING vec0(vector float[${vectorDim}] distance_metric=cosine)`);
}

export class VectorTable {
  readonly #sql: Sql;
  readonly #vectorDim: number;
  readonly #insert: Statement;
  readonly #replace: Statement;
  readonly #remove: Statement;
  readonly #get: Statement;
  readonly #search: Statement;

  constructor(sql: Sql, vectorDim: number) {
    this.#sql = sql;
    this.#vectorDim = vectorDim;
    this.#insert = sql.prepare("INSERT INTO vectors (rowid, vector) VALUES (?, ?)");
    this.#replace = sql.prepare("UPDATE vectors SET vector = ? WHERE rowid = ?");
    this.#remove = sql.prepare("DELETE FROM vectors WHERE rowid = ?");
    this.#get = sql.prepare("SELECT vector FROM vectors WHERE rowid = ?");
    this.#search = sql.prepare("SELECT rowid AS id, distance FROM vectors WHERE vector MATCH ? AND k = ?");
  }

  insert(id: number, vector: Vector): void {
    // vec0 takes row ids as 64-bit integers only.
    this.#insert.run(BigInt(id), this.#blobOf(vector));
  }

  replace(id: number, vector: Vector): void {
    this.#replace.run(this.#blobOf(vector), BigInt(id));
  }

  remove(id: number): void {
    this.#remove.run(BigInt(id));
  }

  get(id: number): Vector | undefined {
    const row = this.#get.get(BigInt(id)) as { vector: Uint8Array } | undefined;
    return row === undefined ? undefined : fromBlob(row.vector);
  }

  /** Nearest first; `score` is the cosine. */
  search(query: Vector, k: number): { id: number; score: number }[] {
    // sqlite-vec refuses more than 4096.
    const rows = this.#search.all(toBlob(query), Math.min(4096, k)) as { id: number; distance: number | null }[];
    // The distance to a vector of zeros is null.
    return rows.map(({ id, distance }) => ({ id, score: distance === null ? 0 : 1 - distance }));
  }

  #blobOf(vector: Vector): Uint8Array {
    if (vector.length === this.#vectorDim) return toBlob(vector);
    throw new RangeError(`a vector of ${vector.length} numbers, the store holds ${this.#vectorDim}`);
  }

  /** Rewrites the table once most of it is freed rows. Call inside a transaction. */
  compact(): void {
    const { blocks } = this.#sql.prepare("SELECT count(*) AS blocks FROM vectors_chunks").get() as { blocks: number };
    const { rows } = this.#sql.prepare("SELECT count(*) AS rows FROM nodes").get() as { rows: number };
    if (blocks * BLOCK_ROWS <= 2 * rows + 4 * BLOCK_ROWS) return;
    this.#sql.exec(`
      CREATE TEMP TABLE kept AS SELECT rowid AS id, vector FROM vectors;
      DELETE FROM vectors;
      INSERT INTO vectors (rowid, vector) SELECT id, vector FROM temp.kept;
      DROP TABLE temp.kept;
    `);
  }
}

export function toBlob(numbers: Float32Array): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}

/** Copies, since SQLite's bytes may start anywhere and a Float32Array may not. */
export function fromBlob(bytes: Uint8Array): Float32Array {
  return new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}
