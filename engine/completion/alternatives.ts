// Other texts the reader could have written: where it was least sure, its second choice is taken and it goes on from there.
import type { Asked, GenerateDeps, Generated } from "./generate.ts";
import { generate } from "./generate.ts";

export const ALTERNATIVES = {
  /** Cody's and Tabby's number of suggestions for a manual trigger. */
  most: 3,
  /** Ours: runs of the reader for the others, as some end in a text that is there already. */
  tries: 4,
} as const;

/** A text with the reader's own measure of it. */
export interface Scored extends Generated {
  /** Mean natural log-probability of its tokens; those it begins with included. */
  readonly meanLogProb: number;
}

/** The reader's first choice with its score. */
export function scored(written: Generated): Scored {
  return { ...written, meanLogProb: mean(written.generation.logProbs) };
}

/**
 * Other texts, the likeliest place to leave the first one before the others. Only its first line is left: texts that differ
 * later look the same. What stands before the place is in the reader's cache, so a text costs its own tokens.
 * Ends early when `signal` aborts.
 */
export async function* otherTexts(
  first: Generated,
  asked: Asked,
  maxLines: number,
  deps: GenerateDeps,
  signal?: AbortSignal,
): AsyncGenerator<Scored> {
  const { tokens, logProbs, margins, runnersUp } = first.generation;
  const { manifest, tokenizer } = deps;
  const stops = new Set(manifest.prompt.stopTokens.map(tokenizer.idOf));
  const places = tokens
    .map((_, place) => place)
    .slice(0, tokensOfFirstLine(first, deps))
    .filter((place) => runnersUp[place] !== undefined && !stops.has(runnersUp[place]))
    .sort((a, b) => (margins[a] ?? 0) - (margins[b] ?? 0) || a - b)
    .slice(0, ALTERNATIVES.tries);
  for (const place of places) {
    const begun = [...tokens.slice(0, place), runnersUp[place] ?? 0];
    const written = await generate(asked, maxLines, deps, signal, begun).catch((error: unknown) => {
      // What there is already is offered.
      if (signal?.aborted && error === signal.reason) return undefined;
      throw error;
    });
    if (written === undefined || written.generation.end === "cancelled") return;
    const second = (logProbs[place] ?? 0) - (margins[place] ?? 0);
    yield {
      ...written,
      meanLogProb: mean([...logProbs.slice(0, place), second, ...written.generation.logProbs]),
    };
  }
}

/** How many tokens the first line that says something takes, its line break included. */
function tokensOfFirstLine({ generation }: Generated, { tokenizer }: GenerateDeps): number {
  const { tokens } = generation;
  for (let count = 1; count <= tokens.length; count += 1) {
    if (tokenizer.decode(tokens.slice(0, count)).trimStart().includes("\n")) return count;
  }
  return tokens.length;
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}
