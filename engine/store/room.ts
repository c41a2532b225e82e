// How much of the disk a store takes, and the ways to take less: fewer bytes a number, then fewer files. Every step is a
// transaction of its own that leaves a good store.
import { STEPS } from "./precision.ts";
import { encodeRows, encodeVector } from "./quantise.ts";
import type { Shapes, Sql } from "./schema.ts";
import type { Tables } from "./search.ts";
import type { Writes } from "./writes.ts";

export interface RoomOptions {
  readonly sql: Sql;
  readonly tables: Tables;
  readonly writes: Writes;
  readonly shapes: Shapes;
  /** Runs a change in a transaction. */
  readonly change: (work: () => void) => void;
}

export class Room {
  readonly #sql: Sql;
  readonly #tables: Tables;
  readonly #writes: Writes;
  readonly #shapes: Shapes;
  readonly #change: RoomOptions["change"];

  constructor({ sql, tables, writes, shapes, change }: RoomOptions) {
    this.#sql = sql;
    this.#tables = tables;
    this.#writes = writes;
    this.#shapes = shapes;
    this.#change = change;
  }

  /** Bytes of pages in use; pages that are free already go back to the disk when the store is tidied. */
  get usedBytes(): number {
    return this.#number(
      `SELECT (page_count - freelist_count) * page_size
       FROM pragma_page_count, pragma_freelist_count, pragma_page_size`,
    );
  }

  get droppedFiles(): number {
    return this.#number("SELECT count(*) FROM dropped");
  }

  /** Paths of the files that went, in their order. */
  dropped(): string[] {
    return this.#sql.prepare("SELECT path FROM dropped ORDER BY path").pluck().all() as string[];
  }

  get nodes(): number {
    return this.#number("SELECT count(*) FROM sketches");
  }

  get highestId(): number {
    return this.#number("SELECT ifnull(max(id), 0) FROM sketches");
  }

  /** How finely numbers are kept: a place in `STEPS`, 0 the finest. */
  get step(): number {
    return this.#tables.precision.step;
  }

  get hasCoarserStep(): boolean {
    return this.step < STEPS.length - 1;
  }

  /** What is written from now on is coarser by one step; `convert` brings the rest along. */
  takeCoarserStep(): void {
    this.#change(() => {
      this.#tables.precision.step += 1;
    });
  }

  /** Nodes with `from` < id <= `to`. */
  convert(from: number, to: number): void {
    this.#change(() => this.#tables.precision.convert(from, to));
  }

  /** Every file is read anew by the next pass, and its chunks are embedded anew where they are kept too coarsely. */
  takeStep(step: number): void {
    this.#change(() => {
      this.#tables.precision.step = step;
      this.#sql.exec("UPDATE files SET hash = '', size = -1, mtime_ms = -1");
    });
  }

  /** Bytes of a chunk's numbers at a step. */
  bytesPerNode(step: number): number {
    const { vectors, pseudoTokens } = STEPS[step] ?? this.#tables.precision.current;
    const { vectorDim, pseudoLength } = this.#shapes;
    return (
      encodeVector(new Float32Array(vectorDim), vectors).length +
      encodeRows(new Float32Array(pseudoLength), pseudoTokens).length
    );
  }

  /** Files with nodes to drop, those untouched longest first; what only an editor holds counts as touched just now. */
  oldestFiles(limit: number): string[] {
    const query = this.#sql.prepare(
      `SELECT path FROM files WHERE path NOT IN (SELECT path FROM dropped)
       AND EXISTS (SELECT 1 FROM nodes WHERE nodes.path = files.path AND level = 0)
       ORDER BY mtime_ms < 0, mtime_ms, path LIMIT ?`,
    );
    return query.pluck().all(limit) as string[];
  }

  /** The nodes of those files go; the files stay known, so that they are read again only once they change. */
  drop(paths: readonly string[]): void {
    this.#change(() => {
      for (const path of paths) this.#writes.dropNodes(path);
    });
  }

  /** The next pass reads dropped files anew. */
  takeBackDropped(): void {
    this.#change(() => {
      this.#sql.exec("DELETE FROM files WHERE path IN (SELECT path FROM dropped)");
      this.#sql.exec("DELETE FROM dropped");
    });
  }

  #number(query: string): number {
    return this.#sql.prepare(query).pluck().get() as number;
  }
}
