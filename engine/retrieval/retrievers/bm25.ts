// Chunks by BM25 over identifiers and their parts, from SQLite's FTS5.
import type { Prompt } from "../../domain.ts";
import { identifiersOf } from "../identifiers.ts";
import type { CreateRetriever, Scored, Wanted } from "../retrieve.ts";

/** FTS5 scores every row that matches any term: the nearest identifiers say enough. */
const MAX_TERMS = 32;

export const create: CreateRetriever = ({ store }) => ({
  retrieve: async (prompt: Prompt, { k }: Wanted): Promise<readonly Scored[]> => {
    const terms = identifiersOf(prompt.query).slice(-MAX_TERMS);
    return terms.length === 0 ? [] : store.searchText(terms, k, { exceptPath: prompt.path });
  },
});
