// How finely a store keeps numbers, in steps from all of them to signs alone. Each step says it before the rows follow, so
// that a crash between leaves rows of two precisions, which is a good store, and the next pass goes on.
import {
  decodeRows,
  decodeVector,
  encodeRows,
  encodeVector,
  PRECISIONS,
  type Precision,
  precisionOf,
} from "./quantise.ts";
import type { Sql, Statement } from "./schema.ts";

export interface Step {
  /** Of chunks' vectors. Those above chunks stay whole: parents are fused from them. */
  readonly vectors: Precision;
  /** Of all nodes. */
  readonly pseudoTokens: Precision;
}

/** What saves most for least comes first: pseudo-tokens are four fifths of a node's numbers and lose 0.4 % of a number. */
export const STEPS: readonly Step[] = [
  { vectors: "float32", pseudoTokens: "float32" },
  { vectors: "float32", pseudoTokens: "int8" },
  { vectors: "int8", pseudoTokens: "int8" },
  { vectors: "bit", pseudoTokens: "int8" },
];

const KEY = "precision";

export class StorePrecision {
  readonly #get: Statement;
  readonly #set: Statement;
  readonly #vectors: Statement;
  readonly #pseudoTokens: Statement;
  readonly #dropVector: Statement;
  readonly #dropPseudoTokens: Statement;
  readonly #putVector: Statement;
  readonly #putPseudoTokens: Statement;
  readonly #orphans: Statement;

  constructor(sql: Sql) {
    this.#get = sql.prepare("SELECT value FROM meta WHERE key = ?").pluck();
    this.#set = sql.prepare("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)");
    this.#vectors = sql.prepare(
      `SELECT v.id, v.precision, v.vector AS bytes FROM vectors v JOIN sketches s ON s.id = v.id
       WHERE v.id > ? AND v.id <= ? AND s.level = 0 AND v.precision < ?`,
    );
    this.#pseudoTokens = sql.prepare(
      "SELECT id, precision, rows AS bytes FROM pseudo_tokens WHERE id > ? AND id <= ? AND precision < ?",
    );
    this.#dropVector = sql.prepare("DELETE FROM vectors WHERE id = ?");
    this.#dropPseudoTokens = sql.prepare("DELETE FROM pseudo_tokens WHERE id = ?");
    this.#putVector = sql.prepare("INSERT INTO vectors (id, precision, vector) VALUES (?, ?, ?)");
    this.#putPseudoTokens = sql.prepare("INSERT INTO pseudo_tokens (id, precision, rows) VALUES (?, ?, ?)");
    this.#orphans = sql.prepare("DELETE FROM orphans WHERE vector_precision < ? OR pseudo_precision < ?");
  }

  /** Place in `STEPS`. */
  get step(): number {
    return Number(this.#get.get(KEY) ?? 0);
  }

  set step(step: number) {
    this.#set.run(KEY, String(step));
  }

  get current(): Step {
    return STEPS[this.step] ?? { vectors: "bit", pseudoTokens: "int8" };
  }

  /** Brings rows with `from` < id <= `to` to the step in force; orphans that are finer go. */
  convert(from: number, to: number): void {
    const { vectors, pseudoTokens } = this.current;
    const [vector, rows] = [PRECISIONS[vectors], PRECISIONS[pseudoTokens]];
    this.#orphans.run(vector, rows);
    // Deleted and put back: SQLite does not join pages whose rows become shorter where they are.
    const finer = this.#vectors.all(from, to, vector) as Stored[];
    for (const { id } of finer) this.#dropVector.run(id);
    for (const { id, precision, bytes } of finer)
      this.#putVector.run(id, vector, encodeVector(decodeVector(bytes, precisionOf(precision)), vectors));
    const finerRows = this.#pseudoTokens.all(from, to, rows) as Stored[];
    for (const { id } of finerRows) this.#dropPseudoTokens.run(id);
    for (const { id, precision, bytes } of finerRows)
      this.#putPseudoTokens.run(id, rows, encodeRows(decodeRows(bytes, precisionOf(precision)), pseudoTokens));
  }
}

interface Stored {
  readonly id: number;
  readonly precision: number;
  readonly bytes: Uint8Array;
}
