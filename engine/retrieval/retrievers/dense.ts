// Nodes of every level whose vector is nearest to the encoded query window, by cosine (HEF section 3).
import type { Prompt } from "../../domain.ts";
import type { CreateRetriever, Scored } from "../retrieve.ts";

export const create: CreateRetriever = ({ store, models }) => ({
  retrieve: async (prompt: Prompt, k: number, signal?: AbortSignal): Promise<readonly Scored[]> => {
    if (prompt.query.trim() === "") return [];
    const [vector] = await models.encode([prompt.query], "completion", signal);
    return vector === undefined ? [] : store.searchVectors(vector, k);
  },
});
