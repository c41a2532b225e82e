// The three searches of a store: by vector, by words, by shared identifiers. Each first takes in what was written since.
import type { Vector } from "../domain.ts";
import { Overlap } from "./overlap.ts";
import type { Postings } from "./postings.ts";
import type { StorePrecision } from "./precision.ts";
import type { PseudoTokenTable } from "./pseudoTokens.ts";
import type { Sql, Statement } from "./schema.ts";
import type { Scope, Sketches } from "./sketches.ts";
import type { VectorTable } from "./vectors.ts";
import { anyOf, termsIn } from "./words.ts";

/** A node's id and how good a search finds it; higher is better. */
export interface Found {
  readonly id: number;
  readonly score: number;
}

/**
 * BM25 scores every chunk that has any of the words, so words are taken rarest first until their chunks are this many
 * together: the common ones it leaves out weigh least. Words of small stores all fit.
 */
const SCORED_CHUNKS = 3000;

/** Counts remembered; a count that is a little old still tells rare from common. */
const REMEMBERED_COUNTS = 50_000;

const SLICE_ROWS = 4096;

export class Search {
  readonly #vectors: VectorTable;
  readonly #sketches: Sketches;
  readonly #postings: Postings;
  readonly #overlap: Overlap;
  readonly #idsAt: Statement;
  readonly #rank: Statement;
  readonly #countOf: Statement;
  readonly #counts = new Map<string, number>();

  constructor(sql: Sql, { vectors, sketches, postings }: Pick<Tables, "vectors" | "sketches" | "postings">) {
    this.#vectors = vectors;
    this.#sketches = sketches;
    this.#postings = postings;
    this.#overlap = new Overlap(postings, sketches);
    this.#idsAt = sql.prepare("SELECT id FROM nodes WHERE path = ?").pluck();
    this.#rank = sql.prepare("SELECT rowid AS id, -rank AS score FROM words WHERE words MATCH ? ORDER BY rank LIMIT ?");
    this.#countOf = sql.prepare("SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH ? LIMIT ?)").pluck();
  }

  /** Reads part of what search keeps in memory; true once all is there. */
  load(): boolean {
    return this.#sketches.load(SLICE_ROWS);
  }

  byVector(query: Vector, k: number, { levels, exceptPath }: Scope): Found[] {
    this.#catchUp();
    return this.#vectors.search(query, k, levels, this.#idsOf(exceptPath));
  }

  byVectorExactly(query: Vector, k: number, { levels }: Scope): Found[] {
    this.#catchUp();
    return this.#vectors.searchExactly(query, k, levels);
  }

  byWords(terms: readonly string[], k: number, { exceptPath }: Scope): Found[] {
    const query = anyOf(this.#rareOf(termsIn(terms)));
    if (query === undefined || k <= 0) return [];
    const except = this.#idsOf(exceptPath);
    const found = this.#rank.all(query, k + except.size) as Found[];
    return found.filter(({ id }) => !except.has(id)).slice(0, k);
  }

  byIdentifiers(names: readonly string[], k: number, { exceptPath }: Scope): Found[] {
    this.#catchUp();
    return this.#overlap.search(names, k, this.#idsOf(exceptPath));
  }

  /** Every chunk of one file that shares an identifier. */
  overlapsIn(path: string, names: readonly string[]): Found[] {
    const wanted = new Set(names);
    return [...this.#postings.namesOf([...this.#idsOf(path)])].flatMap(([id, own]) => {
      const shared = own.filter((name) => wanted.has(name)).length;
      return shared === 0 ? [] : [{ id, score: shared / (wanted.size + own.length - shared) }];
    });
  }

  #catchUp(): void {
    this.#postings.follow(this.#sketches.catchUp());
  }

  #idsOf(path: string | undefined): ReadonlySet<number> {
    return new Set(path === undefined ? [] : (this.#idsAt.all(path) as number[]));
  }

  #rareOf(words: readonly string[]): string[] {
    const counted = words
      .map((word) => ({ word, count: this.#count(word) }))
      .filter(({ count }) => count > 0)
      .sort((a, b) => a.count - b.count);
    let sum = 0;
    const taken = counted.filter(({ count }, place) => {
      sum += count;
      return place === 0 || sum <= SCORED_CHUNKS;
    });
    return taken.map(({ word }) => word);
  }

  /** Chunks that have the word, at most `SCORED_CHUNKS`. */
  #count(word: string): number {
    const known = this.#counts.get(word);
    if (known !== undefined) return known;
    const count = this.#countOf.get(anyOf([word]), SCORED_CHUNKS) as number;
    if (this.#counts.size >= REMEMBERED_COUNTS) this.#counts.clear();
    this.#counts.set(word, count);
    return count;
  }
}

/** The tables that hold more than rows: one of each for a connection. */
export interface Tables {
  readonly precision: StorePrecision;
  readonly pseudoTokens: PseudoTokenTable;
  readonly vectors: VectorTable;
  readonly sketches: Sketches;
  readonly postings: Postings;
  readonly search: Search;
}
