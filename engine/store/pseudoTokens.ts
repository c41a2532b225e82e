// Pseudo-tokens by node id, as finely as the store's precision says.
import type { StorePrecision } from "./precision.ts";
import { decodeRows, encodeRows, PRECISIONS, type Precision, precisionOf } from "./quantise.ts";
import type { Sql, Statement } from "./schema.ts";

export class PseudoTokenTable {
  readonly #precision: StorePrecision;
  readonly #put: Statement;
  readonly #remove: Statement;
  readonly #get: Statement;

  constructor(sql: Sql, precision: StorePrecision) {
    this.#precision = precision;
    this.#put = sql.prepare("INSERT OR REPLACE INTO pseudo_tokens (id, precision, rows) VALUES (?, ?, ?)");
    this.#remove = sql.prepare("DELETE FROM pseudo_tokens WHERE id = ?");
    this.#get = sql.prepare(
      "SELECT id, precision, rows FROM pseudo_tokens WHERE id IN (SELECT value FROM json_each(?))",
    );
  }

  put(id: number, numbers: Float32Array): void {
    const precision = this.#precision.current.pseudoTokens;
    this.#put.run(id, PRECISIONS[precision], encodeRows(numbers, precision));
  }

  remove(id: number): void {
    this.#remove.run(id);
  }

  /** Of those ids that are there. */
  get(ids: readonly number[]): Map<number, Float32Array> {
    return new Map([...this.stored(ids)].map(([id, { numbers }]) => [id, numbers]));
  }

  stored(ids: readonly number[]): Map<number, { readonly numbers: Float32Array; readonly precision: Precision }> {
    const found = this.#get.all(JSON.stringify(ids)) as { id: number; precision: number; rows: Uint8Array }[];
    return new Map(
      found.map(({ id, precision, rows }) => {
        const name = precisionOf(precision);
        return [id, { numbers: decodeRows(rows, name), precision: name }];
      }),
    );
  }
}
