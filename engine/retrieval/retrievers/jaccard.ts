// Chunks whose identifiers overlap most with the query window's: |A ∩ B| / |A ∪ B| (RepoCoder; LlavaCode section 4).
import type { Prompt } from "../../domain.ts";
import { identifiersOf } from "../identifiers.ts";
import type { CreateRetriever, Scored, Wanted } from "../retrieve.ts";

export const create: CreateRetriever = ({ store }) => ({
  measuresOverlap: true,
  retrieve: async (prompt: Prompt, { k }: Wanted): Promise<readonly Scored[]> =>
    store.searchIdentifiers(identifiersOf(prompt.query), k, { exceptPath: prompt.path }),
});
