// Reader input -> text, greedily, until a stop token of the pack, enough lines, or the budget.
import type { Generation, Models } from "../infer/models.ts";
import type { Tokenizer } from "../infer/tokenizer.ts";
import type { PackManifest } from "../pack/pack.ts";
import type { Assembled } from "./assemble.ts";

export interface GenerateDeps {
  readonly models: Models;
  readonly tokenizer: Tokenizer;
  readonly manifest: PackManifest;
}

/** `drafts` false: token by token. */
export type Asked = Pick<Assembled, "input" | "copying"> & { readonly drafts?: boolean };

export interface Generated {
  readonly text: string;
  readonly generation: Generation;
}

/** `begun`: tokens the text begins with, in place of the reader's own choice; they are no part of `generation`. */
export async function generate(
  { input, copying, drafts = true }: Asked,
  maxLines: number,
  deps: GenerateDeps,
  signal?: AbortSignal,
  begun: readonly number[] = [],
): Promise<Generated> {
  const { models, tokenizer, manifest } = deps;
  const generation = await models.generate(
    begun.length === 0 ? input : { ...input, tokens: Int32Array.from([...input.tokens, ...begun]) },
    {
      maxNewTokens: manifest.prompt.budget.newTokens - begun.length,
      stopTokens: manifest.prompt.stopTokens.map(tokenizer.idOf),
      maxLines,
      copying: { ...copying, before: Int32Array.from([...copying.before, ...begun]) },
      drafts,
    },
    signal,
  );
  return { text: tokenizer.decode([...begun, ...generation.tokens]), generation };
}
