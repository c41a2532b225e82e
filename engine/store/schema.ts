// The store's tables and the fingerprint that says which engine and pack made them. No migrations: the index is derived,
// so another fingerprint means another, empty file.
import type { Level } from "../domain.ts";

/** Raise it whenever a table or the meaning of a column changes. */
const FORMAT_VERSION = 5;

/** What made the vectors and pseudo-tokens of a store; the store adds its own format and the shapes. */
export interface Fingerprint {
  /** `CHUNKER_VERSION`. */
  readonly chunker: number;
  /** Id, version and hashes of the pack's models. */
  readonly pack: string;
}

export interface Shapes {
  /** Numbers in a vector. */
  readonly vectorDim: number;
  /** Numbers in a node's pseudo-tokens: perNode * readerDim. */
  readonly pseudoLength: number;
}

/** The part of a database that SQL outside `store.ts` needs. */
export interface Sql {
  exec(source: string): unknown;
  prepare(source: string): Statement;
}

export interface Statement {
  /** Rows become their first column. */
  pluck(): Statement;
  run(...parameters: unknown[]): { changes: number; lastInsertRowid: number | bigint };
  get(...parameters: unknown[]): unknown;
  all(...parameters: unknown[]): unknown[];
  /** Row by row, for more than should be held at once. */
  iterate(...parameters: unknown[]): Iterable<unknown>;
}

/** A level as it is stored: higher in the tree, higher the number. */
export const LEVEL_NUMBERS: Record<Level, number> = { chunk: 0, file: 1, directory: 2, repository: 3 };

export function writeFingerprint(sql: Sql, fingerprint: Fingerprint, shapes: Shapes): void {
  sql.prepare("INSERT INTO meta (key, value) VALUES ('fingerprint', ?)").run(textOf(fingerprint, shapes));
}

/** False for a store of another engine or pack, and for a database that is no store. */
export function hasFingerprint(sql: Sql, fingerprint: Fingerprint, shapes: Shapes): boolean {
  return fingerprintIn(sql) === textOf(fingerprint, shapes);
}

/** Whether the tables are those of this version, whichever pack filled them. */
export function hasFormat(sql: Sql): boolean {
  return fingerprintIn(sql)?.startsWith(`[${FORMAT_VERSION},`) === true;
}

function fingerprintIn(sql: Sql): string | undefined {
  const isStore = sql.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'meta'").get() !== undefined;
  if (!isStore) return undefined;
  const row = sql.prepare("SELECT value FROM meta WHERE key = 'fingerprint'").get() as { value: string } | undefined;
  return row?.value;
}

/** True for a file that holds no table at all: new, not damaged. */
export function isEmpty(sql: Sql): boolean {
  return sql.prepare("SELECT 1 FROM sqlite_schema LIMIT 1").get() === undefined;
}

function textOf(fingerprint: Fingerprint, shapes: Shapes): string {
  const { chunker, pack } = fingerprint;
  return JSON.stringify([FORMAT_VERSION, chunker, pack, shapes.vectorDim, shapes.pseudoLength]);
}

/**
 * `nodes.id` is never used twice, so that what a reader remembers of an id stays true. `folder` is the directory a file
 * or directory node belongs to. `stale` names directories whose node no longer agrees with its children. `orphans` keeps
 * vectors of chunks that left, for the file that may bring them back under another name. `sketches` is what searches keep
 * in memory, `changes` the log by which they keep it true. `dropped` names files whose nodes went for want of room, `left_out`
 * those that were read and not wanted.
 */
export function createTables(sql: Sql): void {
  sql.exec(`
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE files (
      path TEXT PRIMARY KEY, hash TEXT NOT NULL, size INTEGER NOT NULL, mtime_ms REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE nodes (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      level INTEGER NOT NULL,
      path TEXT NOT NULL,
      folder TEXT,
      start INTEGER NOT NULL, end INTEGER NOT NULL,
      start_line INTEGER NOT NULL, end_line INTEGER NOT NULL,
      text TEXT NOT NULL,
      features TEXT,
      identifiers TEXT,
      hash TEXT
    );
    CREATE INDEX nodes_by_path ON nodes (path, level);
    CREATE INDEX nodes_by_folder ON nodes (folder) WHERE folder IS NOT NULL;
    CREATE INDEX nodes_by_hash ON nodes (hash) WHERE hash IS NOT NULL;
    CREATE TABLE vectors (id INTEGER PRIMARY KEY, precision INTEGER NOT NULL, vector BLOB NOT NULL);
    CREATE TABLE pseudo_tokens (id INTEGER PRIMARY KEY, precision INTEGER NOT NULL, rows BLOB NOT NULL);
    CREATE TABLE dropped (path TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE left_out (
      path TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime_ms REAL NOT NULL, reason TEXT NOT NULL, detail TEXT
    ) WITHOUT ROWID;
    CREATE TABLE sketches (
      id INTEGER PRIMARY KEY, level INTEGER NOT NULL, names INTEGER NOT NULL, code BLOB NOT NULL
    );
    CREATE TABLE changes (seq INTEGER PRIMARY KEY AUTOINCREMENT, id INTEGER NOT NULL);
    CREATE VIRTUAL TABLE names USING fts5(
      name, content = '', contentless_delete = 1, detail = none, tokenize = "ascii tokenchars '_-.'"
    );
    CREATE VIRTUAL TABLE words USING fts5(
      text, content = '', contentless_delete = 1, tokenize = "unicode61 remove_diacritics 0 tokenchars '_'"
    );
    CREATE TABLE stale (path TEXT PRIMARY KEY) WITHOUT ROWID;
    CREATE TABLE orphans (
      id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE,
      vector_precision INTEGER NOT NULL, vector BLOB NOT NULL,
      pseudo_precision INTEGER NOT NULL, pseudo_tokens BLOB NOT NULL
    );
  `);
}
