// What the rest of the engine sees of a pack's four models, whichever thread they run on.
import type { ReaderInput, Vector } from "../domain.ts";
import type { Copying } from "./copying.ts";

/** Ends of one generation. */
export interface GenerateOptions {
  readonly maxNewTokens: number;
  /** Generation ends before a token of this list. */
  readonly stopTokens: readonly number[];
  /** Generation ends after the token that completes this many lines; Infinity for no limit. */
  readonly maxLines: number;
  /** Texts the completion may repeat. A server's reader repeats nothing. */
  readonly copying?: Copying;
  /** False: token by token. Otherwise tokens are drafted from those texts and the input, and several are checked in a run. */
  readonly drafts?: boolean;
}

export interface Generation {
  /** New tokens, stop token excluded. */
  readonly tokens: readonly number[];
  /**
   * Natural log-probability of each token of `tokens`, given all before it. From a server, of its own tokens; empty where it
   * tells none.
   */
  readonly logProbs: readonly number[];
  /** By how much each token's log-probability leads the runner-up's; empty likewise. */
  readonly margins: readonly number[];
  /** The runner-up of each token; empty where a server does not tell it, or tells it in a vocabulary of its own. */
  readonly runnersUp: readonly number[];
  /** Runs of the reader after the first token, tokens drafted for them, and drafted tokens that stood. */
  readonly runs: number;
  readonly drafted: number;
  readonly accepted: number;
  readonly end: "stop-token" | "lines" | "max-tokens" | "cancelled";
  readonly prefillMs: number;
  /** From the call to the first token. */
  readonly ttftMs: number;
  readonly totalMs: number;
  /** Positions taken over from the previous request's key-value cache. */
  readonly reusedTokens: number;
}

/**
 * The models of the loaded pack. Every call waits for its turn in `Schedule`; completions go before indexing.
 * All reject with the signal's reason when aborted, except `generate`, which answers what it has.
 */
export interface Models {
  /**
   * texts [n] -> n vectors of [vectorDim], unit length. Texts are cut to the encoder's `maxTokens`. What a completion encodes
   * is a query, what indexing encodes a document, for encoders that read the two in their own ways.
   */
  encode(texts: readonly string[], priority: "completion" | "indexing", signal?: AbortSignal): Promise<Vector[]>;
  /** n groups of 1..branching child vectors -> n parent vectors, unit length (HEF section 3). */
  fuse(groups: readonly (readonly Vector[])[], signal?: AbortSignal): Promise<Vector[]>;
  /** n vectors -> n rows of [perNode * readerDim]. */
  project(vectors: readonly Vector[], signal?: AbortSignal): Promise<Float32Array[]>;
  generate(input: ReaderInput, options: GenerateOptions, signal?: AbortSignal): Promise<Generation>;
  /** Ends the worker between two runs, never inside one. */
  close(): Promise<void>;
}
