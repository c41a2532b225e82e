// Every question asked of a store. Answers are values: nothing stays open on the database between two calls.
import type { AstFeatures, Level, Node, Vector } from "../domain.ts";
import { decodeRows, decodeVector, PRECISIONS, type Precision, precisionOf } from "./quantise.ts";
import type { Child, FileStamp, KnownChunk, StoreStats } from "./records.ts";
import { LEVEL_NUMBERS, type Sql, type Statement } from "./schema.ts";
import type { Tables } from "./search.ts";

interface NodeRow {
  readonly id: number;
  readonly level: number;
  readonly path: string;
  readonly start: number;
  readonly end: number;
  readonly start_line: number;
  readonly end_line: number;
  readonly text: string;
  readonly features: string | null;
}

interface Orphan {
  readonly vector_precision: number;
  readonly vector: Uint8Array;
  readonly pseudo_precision: number;
  readonly pseudo_tokens: Uint8Array;
}

const NODE_COLUMNS = "id, level, path, start, end, start_line, end_line, text, features";

export class Reads {
  readonly #sql: Sql;
  readonly #tables: Tables;
  readonly #files: Statement;
  readonly #nodes: Statement;
  readonly #nodeAt: Statement;
  readonly #identifiers: Statement;
  readonly #byHash: Statement;
  readonly #orphan: Statement;
  readonly #children: Statement;

  constructor(sql: Sql, tables: Tables) {
    this.#sql = sql;
    this.#tables = tables;
    this.#files = sql.prepare("SELECT path, hash, size, mtime_ms AS mtimeMs FROM files ORDER BY path");
    this.#nodes = sql.prepare(`SELECT ${NODE_COLUMNS} FROM nodes WHERE id IN (SELECT value FROM json_each(?))`);
    this.#nodeAt = sql.prepare(`SELECT ${NODE_COLUMNS} FROM nodes WHERE path = ? AND level = ? ORDER BY start LIMIT 1`);
    this.#identifiers = sql.prepare("SELECT id, path, identifiers FROM nodes WHERE level = 0 ORDER BY id");
    this.#byHash = sql.prepare("SELECT id FROM nodes WHERE hash = ? LIMIT 1");
    this.#orphan = sql.prepare("SELECT * FROM orphans WHERE hash = ?");
    this.#children = sql.prepare("SELECT id, path FROM nodes WHERE folder = ? ORDER BY path");
  }

  files(): Map<string, FileStamp> {
    const rows = this.#files.all() as (FileStamp & { path: string })[];
    return new Map(rows.map(({ path, hash, size, mtimeMs }) => [path, { hash, size, mtimeMs }]));
  }

  file(path: string): FileStamp | undefined {
    const query = this.#sql.prepare("SELECT hash, size, mtime_ms AS mtimeMs FROM files WHERE path = ?");
    return query.get(path) as FileStamp | undefined;
  }

  filesAt(path: string): string[] {
    // '0' follows '/' in the order of bytes.
    const query = this.#sql.prepare("SELECT path FROM files WHERE path = ? OR (path > ? || '/' AND path < ? || '0')");
    return (query.all(path, path, path) as { path: string }[]).map((row) => row.path);
  }

  nodes(ids: readonly number[]): Node[] {
    const rows = this.#nodes.all(JSON.stringify(ids)) as NodeRow[];
    const found = new Map(rows.map((row) => [row.id, nodeOf(row)]));
    return ids.flatMap((id) => found.get(id) ?? []);
  }

  nodeAt(path: string, level: Level): Node | undefined {
    const row = this.#nodeAt.get(path, LEVEL_NUMBERS[level]) as NodeRow | undefined;
    return row === undefined ? undefined : nodeOf(row);
  }

  chunkIdentifiers(): { id: number; path: string; identifiers: string }[] {
    return this.#identifiers.all() as { id: number; path: string; identifiers: string }[];
  }

  pseudoTokens(ids: readonly number[]): Map<number, Float32Array> {
    return this.#tables.pseudoTokens.get(ids);
  }

  vectorOf(id: number): Vector | undefined {
    return this.#tables.vectors.get(id);
  }

  knownChunks(hashes: Iterable<string>): Map<string, KnownChunk> {
    const known = new Map<string, KnownChunk>();
    for (const hash of hashes) {
      const found = this.#knownChunk(hash);
      if (found !== undefined) known.set(hash, found);
    }
    return known;
  }

  #knownChunk(hash: string): KnownChunk | undefined {
    const node = this.#byHash.get(hash) as { id: number } | undefined;
    const vector = node === undefined ? undefined : this.#tables.vectors.stored(node.id);
    const rows = node === undefined ? undefined : this.#tables.pseudoTokens.stored([node.id]).get(node.id);
    if (vector !== undefined && rows !== undefined && this.#isFine(vector.precision, rows.precision))
      return { vector: vector.vector, pseudoTokens: rows.numbers };
    const orphan = this.#orphan.get(hash) as Orphan | undefined;
    if (orphan === undefined) return undefined;
    const [ofVector, ofRows] = [precisionOf(orphan.vector_precision), precisionOf(orphan.pseudo_precision)];
    if (!this.#isFine(ofVector, ofRows)) return undefined;
    return {
      vector: decodeVector(orphan.vector, ofVector),
      pseudoTokens: decodeRows(orphan.pseudo_tokens, ofRows),
    };
  }

  /** Coarser numbers than the store now keeps are made anew, and a file's node is not fused from signs. */
  #isFine(vector: Precision, rows: Precision): boolean {
    const { vectors, pseudoTokens } = this.#tables.precision.current;
    const coarsest = Math.min(PRECISIONS[vectors], PRECISIONS.int8);
    return PRECISIONS[vector] <= coarsest && PRECISIONS[rows] <= PRECISIONS[pseudoTokens];
  }

  /** File and directory nodes directly inside a directory, in the order of their paths. */
  children(folder: string): Child[] {
    const rows = this.#children.all(folder) as { id: number; path: string }[];
    return rows.flatMap(({ id, path }) => {
      const vector = this.#tables.vectors.get(id);
      return vector === undefined ? [] : [{ path, vector }];
    });
  }

  /** Directories whose node does not agree with their children, deepest first. */
  staleFolders(): string[] {
    const rows = this.#sql.prepare("SELECT path FROM stale ORDER BY path").all() as { path: string }[];
    return rows.map(({ path }) => path).sort((a, b) => levelsUnder(b) - levelsUnder(a));
  }

  stats(): StoreStats {
    const count = (level: Level): number => {
      const query = this.#sql.prepare("SELECT count(*) AS n FROM nodes WHERE level = ?");
      return (query.get(LEVEL_NUMBERS[level]) as { n: number }).n;
    };
    const levels = {
      chunk: count("chunk"),
      file: count("file"),
      directory: count("directory"),
      repository: count("repository"),
    };
    const { n: files } = this.#sql.prepare("SELECT count(*) AS n FROM files").get() as { n: number };
    const { n: droppedFiles } = this.#sql.prepare("SELECT count(*) AS n FROM dropped").get() as { n: number };
    const { bytes } = this.#sql
      .prepare("SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size")
      .get() as { bytes: number };
    const nodes = levels.chunk + levels.file + levels.directory + levels.repository;
    return { files, droppedFiles, chunks: levels.chunk, nodes, levels, dbBytes: bytes };
  }
}

const LEVELS_BY_NUMBER = new Map(Object.entries(LEVEL_NUMBERS).map(([level, number]) => [number, level as Level]));

function nodeOf(row: NodeRow): Node {
  const level = LEVELS_BY_NUMBER.get(row.level);
  if (level === undefined) throw new RangeError(`node ${row.id} has level ${row.level}`);
  return {
    id: row.id,
    level,
    path: row.path,
    start: row.start,
    end: row.end,
    startLine: row.start_line,
    endLine: row.end_line,
    text: row.text,
    ...(row.features === null ? {} : { features: JSON.parse(row.features) as AstFeatures }),
  };
}

function levelsUnder(path: string): number {
  return path === "" ? 0 : path.split("/").length;
}
