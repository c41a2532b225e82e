// Chunks whose vector is nearest to the encoded query window, by cosine.
import type { Prompt } from "../../domain.ts";
import type { CreateRetriever, Scored, Wanted } from "../retrieve.ts";

export const create: CreateRetriever = ({ store, queryVector }) => ({
  asksModels: true,
  retrieve: async (prompt: Prompt, { k }: Wanted, signal?: AbortSignal): Promise<readonly Scored[]> => {
    const vector = await queryVector(prompt, signal);
    return vector === undefined ? [] : store.searchVectors(vector, k, { levels: ["chunk"], exceptPath: prompt.path });
  },
});
