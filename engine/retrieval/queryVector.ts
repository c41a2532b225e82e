// The vector of a prompt's query window, made once for all retrievers that ask in one request.
import type { Prompt, Vector } from "../domain.ts";
import type { Models } from "../infer/models.ts";

/** Undefined for a query of white space. */
export type QueryVector = (prompt: Prompt, signal?: AbortSignal) => Promise<Vector | undefined>;

export function createQueryVector(models: Pick<Models, "encode">): QueryVector {
  const known = new WeakMap<Prompt, Promise<Vector | undefined>>();
  return (prompt, signal) => {
    if (prompt.query.trim() === "") return Promise.resolve(undefined);
    const found = known.get(prompt) ?? models.encode([prompt.query], "completion", signal).then(([vector]) => vector);
    known.set(prompt, found);
    return found;
  };
}
