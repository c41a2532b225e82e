// Chunks whose identifiers overlap most with the query window's: |A ∩ B| / |A ∪ B| (RepoCoder; LlavaCode section 4).
import type { Prompt } from "../../domain.ts";
import type { Store } from "../../store/store.ts";
import { identifiersOf, isKeyword } from "../identifiers.ts";
import type { CreateRetriever, Scored } from "../retrieve.ts";

/** Identifier -> the chunks that hold it, by position in `ids`. */
interface InvertedIndex {
  readonly generation: number;
  readonly ids: readonly number[];
  readonly paths: readonly string[];
  /** Distinct identifiers of each chunk. */
  readonly sizes: readonly number[];
  readonly postings: ReadonlyMap<string, readonly number[]>;
}

export const create: CreateRetriever = ({ store }) => {
  let index: InvertedIndex | undefined;
  return {
    retrieve: async (prompt: Prompt, k: number): Promise<readonly Scored[]> => {
      if (index === undefined || index.generation !== store.generation) index = build(store);
      return search(index, prompt, k);
    },
  };
};

function build(store: Store): InvertedIndex {
  const ids: number[] = [];
  const paths: string[] = [];
  const sizes: number[] = [];
  const postings = new Map<string, number[]>();
  const generation = store.generation;
  for (const chunk of store.chunkIdentifiers()) {
    const identifiers = chunk.identifiers.split(" ").filter((word) => word !== "" && !isKeyword(word));
    for (const identifier of identifiers) {
      const posting = postings.get(identifier);
      if (posting === undefined) postings.set(identifier, [ids.length]);
      else posting.push(ids.length);
    }
    ids.push(chunk.id);
    paths.push(chunk.path);
    sizes.push(identifiers.length);
  }
  return { generation, ids, paths, sizes, postings };
}

function search(index: InvertedIndex, prompt: Prompt, k: number): Scored[] {
  const wanted = identifiersOf(prompt.query);
  const shared = new Uint32Array(index.ids.length);
  for (const identifier of wanted) {
    for (const chunk of index.postings.get(identifier) ?? []) shared[chunk] = (shared[chunk] ?? 0) + 1;
  }
  const found: Scored[] = [];
  shared.forEach((count, chunk) => {
    const id = index.ids[chunk];
    if (count === 0 || id === undefined || index.paths[chunk] === prompt.path) return;
    found.push({ id, score: count / (wanted.length + (index.sizes[chunk] ?? 0) - count) });
  });
  return found.sort((a, b) => b.score - a.score || a.id - b.id).slice(0, k);
}
