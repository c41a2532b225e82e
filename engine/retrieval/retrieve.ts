// Prompt -> candidates: run the named retrievers, merge their ranks. Knows no retriever by name.
import { setImmediate } from "node:timers/promises";
import type { Candidate, Level, Node, Prompt } from "../domain.ts";
import { isMissingModule, messageOf, type Problem } from "../errors.ts";
import type { Models } from "../infer/models.ts";
import type { Store } from "../store/store.ts";
import { createQueryVector, type QueryVector } from "./queryVector.ts";
import { RecentFiles } from "./recentFiles.ts";

/** A node's id and how good one retriever finds it; higher is better. */
export interface Scored {
  readonly id: number;
  readonly score: number;
}

/** What is asked of a retriever. */
export interface Wanted {
  /** Most nodes. */
  readonly k: number;
  /** Levels of the nodes; a retriever that knows chunks only need not look. */
  readonly levels: readonly Level[];
}

export interface Retriever {
  /** It waits for a model, which runs in a thread of its own: it starts first, and the others search meanwhile. */
  readonly asksModels?: boolean;
  /** Its scores are shares of identifiers in common, 0 to 1: the best says whether there is anything alike at all. */
  readonly measuresOverlap?: boolean;
  /** Nodes of those levels, best first, none of `prompt.path`. */
  retrieve(prompt: Prompt, wanted: Wanted, signal?: AbortSignal): Promise<readonly Scored[]>;
}

export interface RetrieverDeps {
  readonly store: Store;
  readonly queryVector: QueryVector;
  readonly recentFiles: RecentFiles;
}

/** What a file under `retrievers/` exports as `create`. */
export type CreateRetriever = (deps: RetrieverDeps) => Retriever;

export interface RetrieveOptions {
  /** Candidates wanted after merging. */
  readonly limit: number;
  /** Levels the mode can use: retrieved text comes from chunks, pseudo-tokens from any level. */
  readonly levels: readonly Level[];
}

export interface Retrieved {
  readonly candidates: readonly Candidate[];
  readonly problems: readonly Problem[];
  /** The best overlap that any retriever found; absent where none measures it. */
  readonly overlap?: number;
}

export type Retrieve = (prompt: Prompt, options: RetrieveOptions, signal?: AbortSignal) => Promise<Retrieved>;

/**
 * Reciprocal rank merging (Cormack et al. 2009): a node scores the sum of weight / (offset + rank). Theirs is 60, for
 * retrievers of equal worth; a smaller one lets first places count, and here one retriever is better than the others.
 */
const RANK_OFFSET = 10;

/** Weights that are not 1. Overlap of identifiers finds best what a reader can copy; LlavaCode retrieves by it alone. */
const WEIGHTS: Readonly<Record<string, number>> = { jaccard: 4 };

/** Each retriever proposes this many times the wanted number, so that a node two of them find late can still win. */
const OVERSAMPLING = 2;

const NAME = /^[a-z][a-zA-Z0-9]*$/;

export interface LoadOptions {
  readonly store: Store;
  readonly models: Pick<Models, "encode">;
  /** Nobody opens files where it is absent. */
  readonly recentFiles?: RecentFiles;
}

/** Retrievers of those names; names without a file become problems. */
export async function loadRetrievers(
  names: readonly string[],
  { store, models, recentFiles = new RecentFiles() }: LoadOptions,
): Promise<{ retrievers: ReadonlyMap<string, Retriever>; problems: Problem[] }> {
  const retrievers = new Map<string, Retriever>();
  const problems: Problem[] = [];
  const deps = { store, queryVector: createQueryVector(models), recentFiles };
  for (const name of names) {
    const create = NAME.test(name) ? await findRetriever(name) : undefined;
    if (create === undefined) problems.push({ code: "RETRIEVER_FAILED", detail: `no retriever named ${name}` });
    else retrievers.set(name, create(deps));
  }
  return { retrievers, problems };
}

async function findRetriever(name: string): Promise<CreateRetriever | undefined> {
  try {
    const module: { create: CreateRetriever } = await import(`./retrievers/${name}.ts`);
    return module.create;
  } catch (error) {
    if (isMissingModule(error)) return undefined;
    throw error;
  }
}

/**
 * A failing retriever costs its own candidates only. With `minOverlap` above 0, overlap is measured first, and nothing is
 * retrieved where the best is below it: code that is not alike seldom helps, and costs a longer prompt.
 */
export function createRetrieve(
  store: Store,
  retrievers: ReadonlyMap<string, Retriever>,
  { minOverlap = 0 }: { readonly minOverlap?: number } = {},
): Retrieve {
  return async (prompt, { limit, levels }, signal) => {
    const problems: Problem[] = [];
    const wanted = { k: limit * OVERSAMPLING, levels };
    const propose = async (name: string, retriever: Retriever): Promise<Proposed> => {
      try {
        return { name, proposed: await retriever.retrieve(prompt, wanted, signal) };
      } catch (error) {
        if (!signal?.aborted) problems.push({ code: "RETRIEVER_FAILED", detail: `${name}: ${messageOf(error)}` });
        return { name, proposed: undefined };
      }
    };
    const lists: Promise<Proposed>[] = [];
    for (const [name, retriever] of inOrder(retrievers, minOverlap > 0)) {
      if (signal?.aborted) break;
      if (lists.length > 0 && !retriever.measuresOverlap && minOverlap > 0) {
        const overlap = bestOverlap(await Promise.all(lists), retrievers);
        if (overlap !== undefined && overlap < minOverlap) return { candidates: [], problems, overlap };
      }
      lists.push(propose(name, retriever));
      // Messages, such as the cancellation of this very request, come in between two searches.
      await setImmediate();
    }
    const proposed = await Promise.all(lists);
    signal?.throwIfAborted();
    const overlap = bestOverlap(proposed, retrievers);
    if (overlap !== undefined && overlap < minOverlap) return { candidates: [], problems, overlap };
    const ranked = mergeRanks(proposed);
    const candidates: Candidate[] = [];
    const isKnown = createIsKnown(prompt);
    for (let at = 0; at < ranked.length && candidates.length < limit; at += limit) {
      const slice = new Map(ranked.slice(at, at + limit).map((each) => [each.id, each]));
      for (const node of store.nodes([...slice.keys()])) {
        const { score, names } = slice.get(node.id) ?? { score: 0, names: [] };
        if (!levels.includes(node.level) || node.path === prompt.path || isKnown(node)) continue;
        candidates.push({ node, score, retriever: names.join("+") });
      }
    }
    return { candidates: candidates.slice(0, limit), problems, ...(overlap === undefined ? {} : { overlap }) };
  };
}

interface Proposed {
  readonly name: string;
  /** Undefined for one that failed. */
  readonly proposed: readonly Scored[] | undefined;
}

/** Those that wait for a model first, so that the others search meanwhile; before them, if it decides, overlap. */
function inOrder(retrievers: ReadonlyMap<string, Retriever>, overlapDecides: boolean): [string, Retriever][] {
  const place = ({ asksModels = false, measuresOverlap = false }: Retriever) =>
    overlapDecides && measuresOverlap ? 0 : asksModels ? 1 : 2;
  return [...retrievers].sort(([, a], [, b]) => place(a) - place(b));
}

function bestOverlap(lists: readonly Proposed[], retrievers: ReadonlyMap<string, Retriever>): number | undefined {
  const best = lists.flatMap(({ name, proposed }) =>
    proposed === undefined || !retrievers.get(name)?.measuresOverlap ? [] : (proposed[0]?.score ?? 0),
  );
  return best.length === 0 ? undefined : Math.max(...best);
}

/** Copies of a file tell the reader nothing twice, nor what stands around the cursor already; they would fill its whole budget. */
function createIsKnown({ prefix, suffix }: Prompt): (node: Node) => boolean {
  const seen = new Set<string>();
  return ({ level, text }) => {
    if (level !== "chunk") return false;
    const told = text.trim();
    if (seen.has(told) || prefix.includes(told) || suffix.includes(told)) return true;
    seen.add(told);
    return false;
  };
}

interface Ranked {
  readonly id: number;
  readonly score: number;
  readonly names: readonly string[];
}

/** Best first, equal ones by id. */
function mergeRanks(lists: readonly Proposed[]): Ranked[] {
  const merged = new Map<number, { id: number; score: number; names: string[] }>();
  for (const { name, proposed = [] } of lists) {
    proposed.forEach(({ id }, rank) => {
      const entry = merged.get(id) ?? { id, score: 0, names: [] };
      entry.score += (WEIGHTS[name] ?? 1) / (RANK_OFFSET + rank + 1);
      entry.names.push(name);
      merged.set(id, entry);
    });
  }
  return [...merged.values()].sort((a, b) => b.score - a.score || a.id - b.id);
}
