// Identifier -> the chunks that have it, in an FTS5 table without positions: 2 bytes a pair on disk, written in the same
// transaction as the chunks. Lists that were read stay in memory up to a bound and are kept in step with the store.
import type { Sql, Statement } from "./schema.ts";

/** Chunk ids, rising. Ids of chunks that have gone may stay until the list is read again. */
export interface Posting {
  readonly ids: Int32Array;
  readonly length: number;
  /** False where only the first were read. */
  readonly isWhole: boolean;
}

const MEMORY_BYTES = 32 * 2 ** 20;
/** What a list costs beside its ids. */
const LIST_BYTES = 200;

/** After more changes than this it is cheaper to read lists again. */
const FOLLOWED_CHANGES = 512;

export class Postings {
  readonly #insert: Statement;
  readonly #remove: Statement;
  readonly #read: Statement;
  readonly #namesOf: Statement;
  readonly #elsewhere: Statement;
  readonly #texts: Statement;
  /** The most recently used last. */
  readonly #lists = new Map<string, Posting>();
  #bytes = 0;

  constructor(sql: Sql) {
    this.#insert = sql.prepare("INSERT INTO names (rowid, name) VALUES (?, ?)");
    this.#remove = sql.prepare("DELETE FROM names WHERE rowid = ?");
    this.#read = sql.prepare("SELECT rowid FROM names WHERE names MATCH ? LIMIT ?").pluck();
    this.#namesOf = sql.prepare(
      "SELECT id, identifiers FROM nodes WHERE id IN (SELECT value FROM json_each(?)) AND level = 0 ORDER BY id",
    );
    const holding = "FROM names JOIN nodes ON nodes.id = names.rowid WHERE names MATCH ? AND path <> ?";
    this.#elsewhere = sql.prepare(`SELECT 1 ${holding} LIMIT 1`);
    this.#texts = sql.prepare(`SELECT text ${holding} AND instr(text, ?) > 0 LIMIT ?`).pluck();
  }

  insert(id: number, names: readonly string[]): void {
    this.#insert.run(id, names.map(termOf).join(" "));
  }

  remove(id: number): void {
    this.#remove.run(id);
  }

  /** What is in memory, or the first `most` chunks. */
  probe(name: string, most: number): Posting {
    return this.#known(name) ?? this.#keep(name, this.#list(name, most));
  }

  /** All chunks that have the identifier. */
  whole(name: string): Posting {
    const known = this.#known(name);
    return known?.isWhole ? known : this.#keep(name, this.#list(name, -1));
  }

  /** Whether a chunk of another file has the identifier. */
  isElsewhere(name: string, path: string): boolean {
    return this.#elsewhere.get(`"${termOf(name)}"`, path) !== undefined;
  }

  /** Texts of at most `limit` chunks of other files that have the identifier and hold the phrase. */
  textsElsewhere(name: string, phrase: string, path: string, limit: number): string[] {
    return this.#texts.all(`"${termOf(name)}"`, path, phrase, limit) as string[];
  }

  /** The identifiers of those chunks, as the store keeps them. */
  namesOf(ids: readonly number[]): Map<number, readonly string[]> {
    const rows = this.#namesOf.all(JSON.stringify(ids)) as { id: number; identifiers: string }[];
    return new Map(rows.map(({ id, identifiers }) => [id, identifiers.split(" ")]));
  }

  /** Takes in chunks that came; `undefined` for anything. Those that went drop out where lists are used. */
  follow(ids: readonly number[] | undefined): void {
    if (ids === undefined || ids.length > FOLLOWED_CHANGES) {
      this.#lists.clear();
      this.#bytes = 0;
      return;
    }
    if (ids.length === 0 || this.#lists.size === 0) return;
    for (const [id, names] of this.namesOf(ids)) for (const name of names) this.#append(name, id);
  }

  #append(name: string, id: number): void {
    const list = this.#lists.get(name);
    // Ids rise, so one that is not above the last was there when the list was read.
    if (list === undefined || !list.isWhole || id <= (list.ids[list.length - 1] ?? 0)) return;
    this.#keep(name, { ids: withOneMore(list, id), length: list.length + 1, isWhole: true });
  }

  #list(name: string, limit: number): Posting {
    const rows = this.#read.all(`"${termOf(name)}"`, limit) as number[];
    return { ids: Int32Array.from(rows), length: rows.length, isWhole: limit < 0 || rows.length < limit };
  }

  #known(name: string): Posting | undefined {
    const list = this.#lists.get(name);
    if (list === undefined) return undefined;
    this.#lists.delete(name);
    this.#lists.set(name, list);
    return list;
  }

  #keep(name: string, list: Posting): Posting {
    const before = this.#lists.get(name);
    if (before !== undefined) this.#bytes -= before.ids.byteLength + LIST_BYTES;
    this.#lists.delete(name);
    this.#lists.set(name, list);
    this.#bytes += list.ids.byteLength + LIST_BYTES;
    for (const [oldest, { ids }] of this.#lists) {
      if (this.#bytes <= MEMORY_BYTES || oldest === name) break;
      this.#lists.delete(oldest);
      this.#bytes -= ids.byteLength + LIST_BYTES;
    }
    return list;
  }
}

function withOneMore({ ids, length }: Posting, id: number): Int32Array {
  let room = ids;
  if (length === ids.length) {
    room = new Int32Array(Math.max(8, Math.ceil(length * 1.25)));
    room.set(ids);
  }
  room[length] = id;
  return room;
}

/** FTS5 folds case, identifiers do not: a capital is written `-` and its small letter, all beyond ASCII as a number. */
function termOf(name: string): string {
  return name.replace(/[^a-z0-9_]/gu, (letter) =>
    /[A-Z]/.test(letter) ? `-${letter.toLowerCase()}` : `.${letter.codePointAt(0)?.toString(16)}.`,
  );
}
