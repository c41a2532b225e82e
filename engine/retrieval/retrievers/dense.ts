// Nodes of the wanted levels whose vector is nearest to the encoded query window, by cosine.
import type { Prompt } from "../../domain.ts";
import type { CreateRetriever, Scored, Wanted } from "../retrieve.ts";

export const create: CreateRetriever = ({ store, models }) => ({
  asksModels: true,
  retrieve: async (prompt: Prompt, { k, levels }: Wanted, signal?: AbortSignal): Promise<readonly Scored[]> => {
    if (prompt.query.trim() === "") return [];
    const [vector] = await models.encode([prompt.query], "completion", signal);
    return vector === undefined ? [] : store.searchVectors(vector, k, { levels, exceptPath: prompt.path });
  },
});
