// The index on disk: nodes, vectors, words and pseudo-tokens of one workspace in `<dir>/index.db`. The only file that
// opens SQLite. One process writes at a time, others read along. A write is one transaction: old or new, never half.
import { mkdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import Database from "better-sqlite3";
import * as sqliteVec from "sqlite-vec";
import type { Level, Node, Vector } from "../domain.ts";
import { EngineError, messageOf, type Problem } from "../errors.ts";
import { checkStore, faultsOf, type StoreCheck } from "./check.ts";
import { LeftOut } from "./leftOut.ts";
import { Postings } from "./postings.ts";
import { StorePrecision } from "./precision.ts";
import { PseudoTokenTable } from "./pseudoTokens.ts";
import { Reads } from "./reads.ts";
import type {
  Child,
  ChunkWrite,
  FileStamp,
  FileWrite,
  KnownChunk,
  ParentWrite,
  StoreStats,
  WholeFile,
} from "./records.ts";
import { Room } from "./room.ts";
import {
  createTables,
  type Fingerprint,
  hasFingerprint,
  hasFormat,
  isEmpty,
  type Shapes,
  writeFingerprint,
} from "./schema.ts";
import { type Found, Search, type Tables } from "./search.ts";
import { type Scope, Sketches } from "./sketches.ts";
import { codeOf, guard, isDamage, translated } from "./storeErrors.ts";
import { VectorTable } from "./vectors.ts";
import { Writes } from "./writes.ts";

export type { StoreStats } from "./records.ts";

export interface StoreOptions extends Shapes {
  /** Made where it is missing. */
  readonly dir: string;
  readonly fingerprint: Fingerprint;
  /** Never write, even where nobody else does. */
  readonly readOnly?: boolean;
}

const FILE = "index.db";

/** Held locked by the one writer. The operating system lets go of it when the process dies, however it dies. */
const LOCK_FILE = "writer.db";

/** How long a reader waits for a writer that is just making the file. */
const PATIENCE_MS = 1500;
const PAUSE_MS = 50;

export function openStore(options: StoreOptions): { store: Store; problems: Problem[] } {
  const problems: Problem[] = [];
  const store = new Store(options, problems);
  if (store.readOnly) {
    problems.push({ code: "STORE_READ_ONLY", detail: `another process writes ${join(options.dir, FILE)}` });
  }
  return { store, problems };
}

/** What is wrong with the index in a folder, and its bytes; undefined where there is none. Looks, and changes nothing. */
export function inspectStore(dir: string): { readonly faults: readonly string[]; readonly bytes: number } | undefined {
  const file = join(dir, FILE);
  const bytes = statSync(file, { throwIfNoEntry: false })?.size;
  if (bytes === undefined) return undefined;
  try {
    const db = new Database(file, { readonly: true, timeout: PATIENCE_MS });
    try {
      // One of another version is made anew when it is opened.
      return { faults: hasFormat(db) ? faultsOf(db) : [], bytes };
    } finally {
      db.close();
    }
  } catch (error) {
    if (isDamage(error)) return { faults: [messageOf(error)], bytes };
    throw translated(error);
  }
}

/** Open from its making until `close`. */
export class Store {
  readonly #options: StoreOptions;
  #lock: Database.Database | undefined;
  #db: Database.Database;
  #tables: Tables;
  #reads: Reads;
  #writes: Writes;
  #ownChanges = 0;

  constructor(options: StoreOptions, problems: Problem[]) {
    this.#options = options;
    guard(() => mkdirSync(options.dir, { recursive: true }));
    this.#lock = options.readOnly === true ? undefined : takeLock(options.dir);
    this.#db = this.#open(problems);
    this.#tables = tablesOf(this.#db, options.vectorDim);
    this.#reads = new Reads(this.#db, this.#tables);
    this.#writes = new Writes(this.#db, this.#tables);
  }

  /** True while another process is the writer. */
  get readOnly(): boolean {
    return this.#lock === undefined;
  }

  /** Another number after every change, whoever made it. */
  get generation(): number {
    const version = guard(() => this.#db.pragma("data_version", { simple: true }));
    return Number(version) + this.#ownChanges;
  }

  /** Takes over from a writer that has gone. The store may be empty afterwards, if it was made by another pack. */
  tryBecomeWriter(): boolean {
    if (!this.readOnly) return true;
    if (this.#options.readOnly === true) return false;
    this.#lock = takeLock(this.#options.dir);
    if (this.#lock === undefined) return false;
    // The last writer may have made the file anew since this one opened it.
    this.#db.close();
    this.#db = this.#open([]);
    this.#tables = tablesOf(this.#db, this.#options.vectorDim);
    this.#reads = new Reads(this.#db, this.#tables);
    this.#writes = new Writes(this.#db, this.#tables);
    this.#ownChanges += 1_000_000;
    return true;
  }

  files(): Map<string, FileStamp> {
    return guard(() => this.#reads.files());
  }

  file(path: string): FileStamp | undefined {
    return guard(() => this.#reads.file(path));
  }

  /** The file of that path, or those under the folder of that path. */
  filesAt(path: string): string[] {
    return guard(() => this.#reads.filesAt(path));
  }

  /** In the order of `ids`; ids of nodes that have gone are left out. */
  nodes(ids: readonly number[]): Node[] {
    return guard(() => this.#reads.nodes(ids));
  }

  /** The node of that path; of a file's chunks, the first. */
  nodeAt(path: string, level: Level): Node | undefined {
    return guard(() => this.#reads.nodeAt(path, level));
  }

  /** Every chunk's distinct identifiers, joined by spaces. */
  chunkIdentifiers(): Iterable<{ id: number; path: string; identifiers: string }> {
    return guard(() => this.#reads.chunkIdentifiers());
  }

  /** Reads what searches keep in memory, a slice at a time; a search before the end reads the rest at once. */
  async warm(): Promise<void> {
    while (this.#db.open && !guard(() => this.#tables.search.load())) await setImmediate();
  }

  /** Nodes by cosine, best first. */
  searchVectors(query: Vector, k: number, scope: Scope = {}): Found[] {
    return guard(() => this.#tables.search.byVector(query, k, scope));
  }

  /** The same with every node compared: slow, and what `searchVectors` is measured against. */
  searchVectorsExactly(query: Vector, k: number, scope: Scope = {}): Found[] {
    return guard(() => this.#tables.search.byVectorExactly(query, k, scope));
  }

  /** Chunks by BM25 over identifiers and their parts, best first. Terms may be any text. */
  searchText(terms: readonly string[], k: number, scope: Scope = {}): Found[] {
    return guard(() => this.#tables.search.byWords(terms, k, scope));
  }

  /** Chunks by the share of identifiers they have in common with distinct `names`, best first. */
  searchIdentifiers(names: readonly string[], k: number, scope: Scope = {}): Found[] {
    return guard(() => this.#tables.search.byIdentifiers(names, k, scope));
  }

  /** Whether a chunk of another file holds that identifier, case and all. */
  hasName(name: string, exceptPath: string): boolean {
    return guard(() => this.#tables.postings.isElsewhere(name, exceptPath));
  }

  /** Texts of at most `limit` chunks of other files that hold the identifier and the phrase. */
  textsWith(name: string, phrase: string, exceptPath: string, limit: number): string[] {
    return guard(() => this.#tables.postings.textsElsewhere(name, phrase, exceptPath, limit));
  }

  /** Every chunk of one file that shares identifiers with distinct `names`, and how much. */
  overlapsIn(path: string, names: readonly string[]): Found[] {
    return guard(() => this.#tables.search.overlapsIn(path, names));
  }

  pseudoTokens(ids: readonly number[]): Map<number, Float32Array> {
    return guard(() => this.#reads.pseudoTokens(ids));
  }

  vectorOf(id: number): Vector | undefined {
    return guard(() => this.#reads.vectorOf(id));
  }

  /** What is stored for chunks of those hashes, in any file, or in none since the last `tidy`. */
  knownChunks(hashes: Iterable<string>): Map<string, KnownChunk> {
    return guard(() => this.#reads.knownChunks(hashes));
  }

  /** File and directory nodes directly inside a directory, in the order of their paths. */
  children(folder: string): Child[] {
    return guard(() => this.#reads.children(folder));
  }

  /** Directories whose node does not agree with their children, deepest first. */
  staleFolders(): string[] {
    return guard(() => this.#reads.staleFolders());
  }

  /** Reads everything there is: for tests, benchmarks and doubts. */
  check(): StoreCheck {
    return guard(() => checkStore(this.#db));
  }

  stats(): StoreStats {
    return guard(() => this.#reads.stats());
  }

  /** A file's row, chunks and own node at once; its directories become stale. */
  replaceFile(file: FileWrite, chunks: readonly ChunkWrite[], fused?: ParentWrite): void {
    this.replaceFiles([{ file, chunks, fused }]);
  }

  /** All of them in one transaction: a commit costs more than a small file. */
  replaceFiles(files: readonly WholeFile[]): void {
    if (files.length === 0) return;
    this.#write(() => {
      for (const { file, chunks, fused } of files) this.#writes.replaceFile(file, chunks, fused);
    });
  }

  removeFile(path: string): void {
    this.#write(() => this.#writes.removeFile(path));
  }

  /** Same text, other stamp. */
  touchFile(path: string, stamp: FileStamp): void {
    this.#write(() => this.#writes.touchFile(path, stamp));
  }

  /** Writes directory and repository nodes and drops those of `emptied` directories; none of them is stale afterwards. */
  replaceParents(parents: readonly ParentWrite[], emptied: readonly string[] = []): void {
    this.#write(() => this.#writes.replaceParents(parents, emptied));
  }

  /** Keeps the newest `keep` vectors of chunks that left, and gives freed space back. */
  tidy(keep: number): void {
    this.#write(() => this.#writes.tidy(keep));
  }

  /** How much of the disk the store takes, and ways to take less. */
  get room(): Room {
    const change = (work: () => void) => this.#write(work);
    return new Room({ sql: this.#db, tables: this.#tables, writes: this.#writes, shapes: this.#options, change });
  }

  /** Files that were read and not wanted. */
  get leftOut(): LeftOut {
    return new LeftOut(this.#db, (work) => this.#write(work));
  }

  close(): void {
    this.#db.close();
    this.#lock?.close();
    this.#lock = undefined;
  }

  #write(change: () => void): void {
    if (this.readOnly) throw new EngineError("STORE_LOCKED", `another process writes ${this.#options.dir}`);
    guard(() => this.#db.transaction(change).immediate());
    this.#ownChanges += 1;
  }

  #open(problems: Problem[]): Database.Database {
    try {
      return this.readOnly ? openAlong(this.#options) : openOrRebuild(this.#options, problems);
    } catch (error) {
      this.#lock?.close();
      this.#lock = undefined;
      throw error;
    }
  }
}

function tablesOf(db: Database.Database, vectorDim: number): Tables {
  const sketches = new Sketches(db, vectorDim);
  const postings = new Postings(db);
  const precision = new StorePrecision(db);
  const pseudoTokens = new PseudoTokenTable(db, precision);
  const vectors = new VectorTable(db, vectorDim, sketches, precision);
  const search = new Search(db, { vectors, sketches, postings });
  return { sketches, postings, precision, pseudoTokens, vectors, search };
}

function openOrRebuild(options: StoreOptions, problems: Problem[]): Database.Database {
  const file = join(options.dir, FILE);
  let reason = "it was made by another version or pack";
  try {
    const db = connect(file);
    if (isEmpty(db)) return create(db, options);
    const damage = db.pragma("quick_check(1)", { simple: true });
    if (damage === "ok" && hasFingerprint(db, options.fingerprint, options)) return db;
    if (damage !== "ok") reason = `it is damaged: ${String(damage)}`;
    db.close();
  } catch (error) {
    if (!isDamage(error)) throw translated(error);
    reason = `it is damaged: ${messageOf(error)}`;
  }
  // The log first: left alone, it would be replayed into the new file.
  guard(() => {
    for (const suffix of ["-wal", "-shm", ""]) rmSync(file + suffix, { force: true, recursive: true });
  });
  problems.push({ code: "STORE_REBUILT", detail: `the index was emptied and is built again: ${reason}` });
  return guard(() => create(connect(file), options));
}

function create(db: Database.Database, options: StoreOptions): Database.Database {
  db.transaction(() => {
    createTables(db);
    writeFingerprint(db, options.fingerprint, options);
  }).immediate();
  return db;
}

/** Opens what another process writes, giving it a moment to make the file. */
function openAlong(options: StoreOptions): Database.Database {
  const file = join(options.dir, FILE);
  let reason = "it is not ready";
  for (let waited = 0; waited < PATIENCE_MS; waited += PAUSE_MS) {
    const db = guard(() => connect(file));
    try {
      if (hasFingerprint(db, options.fingerprint, options)) {
        db.pragma("query_only = ON");
        return db;
      }
      if (!isEmpty(db)) reason = "another version or pack writes it";
    } catch (error) {
      if (!isDamage(error)) throw translated(error);
      reason = messageOf(error);
    }
    db.close();
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
  }
  throw new EngineError("STORE_LOCKED", `${file} cannot be read along: ${reason}`);
}

function connect(file: string): Database.Database {
  const db = new Database(file, { timeout: 5000 });
  try {
    sqliteVec.load(db);
    // Before anything is written. A node's numbers fit into one page of this size; `tidy` gives freed pages back to the disk.
    db.pragma("page_size = 8192");
    db.pragma("auto_vacuum = INCREMENTAL");
    db.pragma("journal_mode = WAL");
    db.pragma("synchronous = NORMAL");
    db.pragma("journal_size_limit = 16777216");
    // Pages that are written again and again while an index grows go to the file once in 32 MB, not once in 4.
    db.pragma("wal_autocheckpoint = 4096");
    db.pragma("cache_size = -32768");
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** The lock, or undefined when another process has it. */
function takeLock(dir: string): Database.Database | undefined {
  const file = join(dir, LOCK_FILE);
  const lock = guard(() => new Database(file, { timeout: 0 }));
  try {
    lock.exec("BEGIN EXCLUSIVE");
    return lock;
  } catch (error) {
    lock.close();
    if (codeOf(error).startsWith("SQLITE_BUSY")) return undefined;
    if (!isDamage(error)) throw translated(error);
    // Nobody can hold a lock on a file that is no database.
    guard(() => rmSync(file, { force: true }));
    return takeLock(dir);
  }
}
