// Chunks of the files opened or edited last that share identifiers with the query window: what a person looked at is
// what they are about to use (Copilot's neighbouring tabs do the same).
import type { Prompt } from "../../domain.ts";
import { identifiersOf } from "../identifiers.ts";
import type { CreateRetriever, Scored, Wanted } from "../retrieve.ts";

const FILES = 8;

/** What an overlap counts for with each file further back. */
const FADING = 0.85;

export const create: CreateRetriever = ({ store, recentFiles }) => ({
  retrieve: async (prompt: Prompt, { k }: Wanted): Promise<readonly Scored[]> => {
    const paths = recentFiles.paths.filter((path) => path !== prompt.path).slice(0, FILES);
    const found = paths.flatMap((path, age) =>
      store
        .overlapsIn(path, identifiersOf(prompt.query))
        .map(({ id, score }) => ({ id, score: score * FADING ** age })),
    );
    return found.sort((a, b) => b.score - a.score || a.id - b.id).slice(0, k);
  },
});
