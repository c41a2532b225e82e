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

export interface Generated {
  readonly text: string;
  readonly generation: Generation;
}

export async function generate(
  { input, drafts }: Pick<Assembled, "input"> & Partial<Pick<Assembled, "drafts">>,
  maxLines: number,
  deps: GenerateDeps,
  signal?: AbortSignal,
): Promise<Generated> {
  const { models, tokenizer, manifest } = deps;
  const generation = await models.generate(
    input,
    {
      maxNewTokens: manifest.prompt.budget.newTokens,
      stopTokens: manifest.prompt.stopTokens.map(tokenizer.idOf),
      maxLines,
      ...(drafts === undefined ? {} : { drafts }),
    },
    signal,
  );
  return { text: tokenizer.decode(generation.tokens), generation };
}
