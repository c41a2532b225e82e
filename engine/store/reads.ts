// Every question asked of a store. Answers are values: nothing stays open on the database between two calls.
import type { AstFeatures, Level, Node, Vector } from "../domain.ts";
import type { Child, FileStamp, KnownChunk, StoreStats } from "./records.ts";
import { LEVEL_NUMBERS, type Sql, type Statement } from "./schema.ts";
import { fromBlob, type VectorTable } from "./vectors.ts";

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

const NODE_COLUMNS = "id, level, path, start, end, start_line, end_line, text, features";

export class Reads {
  readonly #sql: Sql;
  readonly #vectors: VectorTable;
  readonly #files: Statement;
  readonly #nodes: Statement;
  readonly #nodeAt: Statement;
  readonly #identifiers: Statement;
  readonly #pseudoTokens: Statement;
  readonly #byHash: Statement;
  readonly #orphan: Statement;
  readonly #children: Statement;

  constructor(sql: Sql, vectors: VectorTable) {
    this.#sql = sql;
    this.#vectors = vectors;
    this.#files = sql.prepare("SELECT path, hash, size, mtime_ms AS mtimeMs FROM files ORDER BY path");
    this.#nodes = sql.prepare(`SELECT ${NODE_COLUMNS} FROM nodes WHERE id IN (SELECT value FROM json_each(?))`);
    this.#nodeAt = sql.prepare(`SELECT ${NODE_COLUMNS} FROM nodes WHERE path = ? AND level = ? ORDER BY start LIMIT 1`);
    this.#identifiers = sql.prepare("SELECT id, path, identifiers FROM nodes WHERE level = 0 ORDER BY id");
    this.#pseudoTokens = sql.prepare(
      "SELECT id, pseudo_tokens AS pseudoTokens FROM nodes WHERE id IN (SELECT value FROM json_each(?))",
    );
    this.#byHash = sql.prepare("SELECT id, pseudo_tokens AS pseudoTokens FROM nodes WHERE hash = ? LIMIT 1");
    this.#orphan = sql.prepare("SELECT vector, pseudo_tokens AS pseudoTokens FROM orphans WHERE hash = ?");
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
    const rows = this.#pseudoTokens.all(JSON.stringify(ids)) as { id: number; pseudoTokens: Uint8Array }[];
    return new Map(rows.map(({ id, pseudoTokens }) => [id, fromBlob(pseudoTokens)]));
  }

  vectorOf(id: number): Vector | undefined {
    return this.#vectors.get(id);
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
    const node = this.#byHash.get(hash) as { id: number; pseudoTokens: Uint8Array } | undefined;
    const vector = node === undefined ? undefined : this.#vectors.get(node.id);
    if (node !== undefined && vector !== undefined) return { vector, pseudoTokens: fromBlob(node.pseudoTokens) };
    const orphan = this.#orphan.get(hash) as { vector: Uint8Array; pseudoTokens: Uint8Array } | undefined;
    if (orphan === undefined) return undefined;
    return { vector: fromBlob(orphan.vector), pseudoTokens: fromBlob(orphan.pseudoTokens) };
  }

  /** File and directory nodes directly inside a directory, in the order of their paths. */
  children(folder: string): Child[] {
    const rows = this.#children.all(folder) as { id: number; path: string }[];
    return rows.flatMap(({ id, path }) => {
      const vector = this.#vectors.get(id);
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
    const { bytes } = this.#sql
      .prepare("SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size")
      .get() as { bytes: number };
    const nodes = levels.chunk + levels.file + levels.directory + levels.repository;
    return { files, chunks: levels.chunk, nodes, levels, dbBytes: bytes };
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
