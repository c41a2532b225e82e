// The vocabulary of Precis as types. Imports nothing; every folder may import it.

/** Height of a node in the workspace tree, lowest first. */
export const LEVELS = ["chunk", "file", "directory", "repository"] as const;
export type Level = (typeof LEVELS)[number];

/**
 * How much of the workspace the reader sees: `none` nothing, `full` retrieved text in the prompt (full RAG),
 * `compressed` pseudo-tokens.
 */
export const MODES = ["none", "full", "compressed"] as const;
export type Mode = (typeof MODES)[number];

/** What a person chooses; `auto` leaves it to the pack. */
export type ModeChoice = Mode | "auto";

/** `[start, end)` in UTF-16 code units of one version of one file. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** What the syntax tree says of a chunk. Empty strings and lists where the fallback chunker cut it. */
export interface AstFeatures {
  /** `function`, `method`, `class`, `namespace`, `imports`, `statements`, or `text` where nothing was parsed. */
  readonly kind: string;
  /** Dotted path of the enclosing definitions, such as `Store.open`. */
  readonly qualifiedName: string;
  /** First line(s) of the definition up to its body, white space folded. */
  readonly signature: string;
  /** Names bound in the chunk: functions, classes, assigned variables, parameters excluded. */
  readonly defines: readonly string[];
  /** Names used in the chunk, without repeats, in order of first use. */
  readonly references: readonly string[];
  /** Dotted module paths and names imported in the chunk. */
  readonly imports: readonly string[];
  /** Pre-order walk of named syntax nodes, identifiers kept, as UniXcoder's input (LlavaCode section 3); `""` where no one reads it. */
  readonly linearised: string;
}

/** A leaf of the workspace tree: a span cut at syntax boundaries, at most `chunking.maxTokens` tokens of the pack. */
export interface Chunk extends Span {
  /** 1-based, inclusive. */
  readonly startLine: number;
  /** 1-based, inclusive. */
  readonly endLine: number;
  readonly text: string;
  /** Length in tokens of the pack's tokenizer. */
  readonly tokens: number;
  readonly features: AstFeatures;
}

/** One version of one file's text. `path` is relative to the workspace folder, with forward slashes. */
export interface SourceFile {
  readonly path: string;
  readonly text: string;
}

/** A unit-length row of `vectorDim` numbers, made by encoder or fuser. */
export type Vector = Float32Array;

/** A vertex of the workspace tree as the store gives it out. */
export interface Node extends Span {
  readonly id: number;
  readonly level: Level;
  /** Of the file or directory; `""` is the repository's root. */
  readonly path: string;
  /** 1-based, inclusive; 0 where the node is no part of one file. */
  readonly startLine: number;
  readonly endLine: number;
  /** Chunks only; `""` above. */
  readonly text: string;
  readonly features?: AstFeatures;
}

/** A node a retriever proposes. Scores compare only within one retriever; merged lists carry the merged score. */
export interface Candidate {
  readonly node: Node;
  readonly score: number;
  /** File name under `retrieval/retrievers/`; after merging, the names that proposed it, joined by `+`. */
  readonly retriever: string;
}

/** The text around the cursor; nothing retrieved. */
export interface Prompt {
  readonly path: string;
  /** Everything before the cursor, cut to the pack's left budget at a token boundary. */
  readonly prefix: string;
  /** Everything after the cursor, cut to the pack's right budget. */
  readonly suffix: string;
  /** The query window: the lines around the cursor that retrievers compare, cursor line included. */
  readonly query: string;
}

/** What the reader is fed: rows before the tokens, then the tokens. */
export interface ReaderInput {
  /** `[rows, readerDim]`, row-major; empty without pseudo-tokens. */
  readonly pseudoTokens: Float32Array;
  readonly tokens: Int32Array;
}

/** Milliseconds each stage took. */
export interface Timings {
  readonly retrieveMs: number;
  readonly prefillMs: number;
  readonly ttftMs: number;
  readonly totalMs: number;
  /** New tokens generated. */
  readonly tokens: number;
}
