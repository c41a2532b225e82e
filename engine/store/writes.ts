// Every change to a store. Each method is called inside one transaction, which `store.ts` opens.

import { PRECISIONS } from "./quantise.ts";
import type { ChunkWrite, FileStamp, FileWrite, ParentWrite } from "./records.ts";
import { folderOf } from "./records.ts";
import { LEVEL_NUMBERS, type Sql, type Statement } from "./schema.ts";
import type { Tables } from "./search.ts";
import { identifiersIn, namesAmong, wordsIn } from "./words.ts";

interface StoredChunk {
  readonly id: number;
  readonly hash: string;
}

export class Writes {
  readonly #sql: Sql;
  readonly #tables: Tables;
  readonly #putFile: Statement;
  readonly #dropFile: Statement;
  readonly #chunksOf: Statement;
  readonly #fusedAt: Statement;
  readonly #insert: Statement;
  readonly #move: Statement;
  readonly #putDropped: Statement;
  readonly #clearDropped: Statement;
  readonly #dropNode: Statement;
  readonly #putWords: Statement;
  readonly #dropWords: Statement;
  readonly #putOrphan: Statement;
  readonly #markStale: Statement;
  readonly #clearStale: Statement;
  readonly #words = new Map<string, string>();

  constructor(sql: Sql, tables: Tables) {
    this.#sql = sql;
    this.#tables = tables;
    this.#putFile = sql.prepare("INSERT OR REPLACE INTO files (path, hash, size, mtime_ms) VALUES (?, ?, ?, ?)");
    this.#dropFile = sql.prepare("DELETE FROM files WHERE path = ?");
    this.#chunksOf = sql.prepare("SELECT id, hash FROM nodes WHERE path = ? AND level = 0 ORDER BY start");
    this.#fusedAt = sql.prepare("SELECT id FROM nodes WHERE path = ? AND level = ?");
    this.#insert = sql.prepare(
      `INSERT INTO nodes (level, path, folder, start, end, start_line, end_line, text, features, identifiers, hash)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#move = sql.prepare(
      "UPDATE nodes SET start = ?, end = ?, start_line = ?, end_line = ?, features = ? WHERE id = ?",
    );
    this.#dropNode = sql.prepare("DELETE FROM nodes WHERE id = ?");
    this.#putWords = sql.prepare("INSERT INTO words (rowid, text) VALUES (?, ?)");
    this.#dropWords = sql.prepare("DELETE FROM words WHERE rowid = ?");
    this.#putOrphan = sql.prepare(
      `INSERT OR REPLACE INTO orphans (hash, vector_precision, vector, pseudo_precision, pseudo_tokens)
       SELECT n.hash, v.precision, v.vector, p.precision, p.rows
       FROM nodes n JOIN vectors v ON v.id = n.id JOIN pseudo_tokens p ON p.id = n.id
       WHERE n.id = ? AND v.precision < ${PRECISIONS.bit}`,
    );
    this.#putDropped = sql.prepare("INSERT OR IGNORE INTO dropped (path) VALUES (?)");
    this.#clearDropped = sql.prepare("DELETE FROM dropped WHERE path = ?");
    this.#markStale = sql.prepare("INSERT OR IGNORE INTO stale (path) VALUES (?)");
    this.#clearStale = sql.prepare("DELETE FROM stale WHERE path = ?");
  }

  /** Chunks that stay keep their node and id, and their vector unless it is fresh; `fused` is the file's own node, undefined for a file without chunks. */
  replaceFile(file: FileWrite, chunks: readonly ChunkWrite[], fused: ParentWrite | undefined): void {
    const before = Map.groupBy(this.#chunksOf.all(file.path) as StoredChunk[], (stored) => stored.hash);
    for (const write of chunks) {
      const stored = before.get(write.hash)?.shift();
      if (stored === undefined) this.#insertChunk(file.path, write);
      else this.#moveChunk(stored.id, write);
    }
    for (const gone of before.values()) for (const { id } of gone) this.#removeChunk(id);
    this.#removeFused(file.path, "file");
    if (fused !== undefined) this.#insertFused(fused);
    this.#putFile.run(file.path, file.hash, file.size, file.mtimeMs);
    this.#clearDropped.run(file.path);
    this.#markAncestors(file.path);
  }

  removeFile(path: string): void {
    for (const { id } of this.#chunksOf.all(path) as StoredChunk[]) this.#removeChunk(id);
    this.#removeFused(path, "file");
    this.#dropFile.run(path);
    this.#clearDropped.run(path);
    this.#markAncestors(path);
  }

  /** The nodes of a file go, and no vector of them is kept; its row stays, so that it is read again only once it changes. */
  dropNodes(path: string): void {
    for (const { id } of this.#chunksOf.all(path) as StoredChunk[]) this.#removeNode(id);
    this.#removeFused(path, "file");
    this.#putDropped.run(path);
    this.#markAncestors(path);
  }

  touchFile(path: string, stamp: FileStamp): void {
    this.#putFile.run(path, stamp.hash, stamp.size, stamp.mtimeMs);
  }

  /** `emptied` are directories that have no children any more. */
  replaceParents(parents: readonly ParentWrite[], emptied: readonly string[]): void {
    for (const path of [...parents.map((parent) => parent.path), ...emptied]) {
      this.#removeFused(path, "directory");
      this.#removeFused(path, "repository");
      this.#clearStale.run(path);
    }
    for (const parent of parents) this.#insertFused(parent);
  }

  /** Forgets all but the newest `keep` vectors of chunks that left, and gives freed space back. */
  tidy(keep: number): void {
    this.#sql
      .prepare("DELETE FROM orphans WHERE id <= (SELECT id FROM orphans ORDER BY id DESC LIMIT 1 OFFSET ?)")
      .run(keep);
    this.#tables.sketches.tidy();
    this.#sql.exec("PRAGMA incremental_vacuum");
  }

  #insertChunk(path: string, { chunk, hash, vector, pseudoTokens }: ChunkWrite): void {
    const { start, end, startLine, endLine, text, features } = chunk;
    const identifiers = identifiersIn(text);
    const names = namesAmong(identifiers);
    const id = this.#insertNode(
      ["chunk", path, null, start, end, startLine, endLine, text, JSON.stringify(features), names.join(" "), hash],
      pseudoTokens,
    );
    this.#tables.vectors.insert(id, vector, "chunk", names.length);
    // Every one, since a keyword here may be a name in another language.
    this.#tables.postings.insert(id, identifiers);
    this.#putWords.run(id, wordsIn(text, this.#words));
  }

  #moveChunk(id: number, { chunk, isFresh, vector, pseudoTokens }: ChunkWrite): void {
    this.#move.run(chunk.start, chunk.end, chunk.startLine, chunk.endLine, JSON.stringify(chunk.features), id);
    if (!isFresh) return;
    this.#tables.vectors.replace(id, vector);
    this.#tables.pseudoTokens.put(id, pseudoTokens);
  }

  #removeChunk(id: number): void {
    this.#putOrphan.run(id);
    this.#removeNode(id);
  }

  #removeNode(id: number): void {
    this.#dropWords.run(id);
    this.#tables.postings.remove(id);
    this.#tables.vectors.remove(id);
    this.#tables.pseudoTokens.remove(id);
    this.#dropNode.run(id);
  }

  #insertFused({ level, path, end, endLine, vector, pseudoTokens }: ParentWrite): void {
    const startLine = endLine === 0 ? 0 : 1;
    const folder = folderOf(path) ?? null;
    const id = this.#insertNode([level, path, folder, 0, end, startLine, endLine, "", null, null, null], pseudoTokens);
    this.#tables.vectors.insert(id, vector, level, 0);
  }

  #removeFused(path: string, level: ParentWrite["level"]): void {
    for (const { id } of this.#fusedAt.all(path, LEVEL_NUMBERS[level]) as { id: number }[]) {
      this.#tables.vectors.remove(id);
      this.#tables.pseudoTokens.remove(id);
      this.#dropNode.run(id);
    }
  }

  #insertNode([level, ...rest]: [ParentWrite["level"] | "chunk", ...unknown[]], pseudoTokens: Float32Array): number {
    const id = Number(this.#insert.run(LEVEL_NUMBERS[level], ...rest).lastInsertRowid);
    this.#tables.pseudoTokens.put(id, pseudoTokens);
    return id;
  }

  #markAncestors(path: string): void {
    for (let folder = folderOf(path); folder !== undefined; folder = folderOf(folder)) this.#markStale.run(folder);
  }
}
