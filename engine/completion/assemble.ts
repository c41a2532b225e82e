// Prompt and candidates -> reader input, within the pack's budget. The only place that knows the prompt templates.
import type { Candidate, Mode, Prompt, ReaderInput } from "../domain.ts";
import type { Copying } from "../infer/copying.ts";
import type { Tokenizer } from "../infer/tokenizer.ts";
import type { PackManifest } from "../pack/pack.ts";

export interface Assembled {
  readonly input: ReaderInput;
  /** Candidates the input really holds, best first. */
  readonly used: readonly Candidate[];
  /** All positions the reader reads. */
  readonly promptTokens: number;
  /** Of them retrieved text. */
  readonly contextTokens: number;
  /** Of them names from retrieved code. */
  readonly nameTokens: number;
  /** Of them pseudo-tokens. */
  readonly pseudoTokens: number;
  /** Texts that the completion may repeat; the input holds only part of them. */
  readonly copying: Copying;
}

export interface AssembleDeps {
  readonly manifest: PackManifest;
  readonly tokenizer: Tokenizer;
  /** Name of the repository, for packs whose format asks for it. */
  readonly repository?: string;
  /** Node ids -> stored rows [perNode * readerDim]. */
  readonly pseudoTokensOf: (ids: readonly number[]) => ReadonlyMap<number, Float32Array>;
}

/** No chunk of code has longer tokens on average; what is longer than its room need not be tokenised to know that. */
const MAX_CHARS_PER_TOKEN = 16;

/** Entity names stand between pseudo-tokens and prompt; retrieved text stands in rising order of score, the best next to the current file; pseudo-tokens likewise, before all text. */
export function assemble(
  prompt: Prompt,
  candidates: readonly Candidate[],
  mode: Mode,
  { names, copying }: { readonly names: readonly string[]; readonly copying: Copying },
  deps: AssembleDeps,
): Assembled {
  const { manifest, tokenizer } = deps;
  const { budget } = manifest.prompt;
  const room = manifest.reader.maxTokens - budget.newTokens;
  const { psm, order, repository } = manifest.prompt;
  const { path, prefix, suffix } = prompt;
  const values = { path, prefix, suffix, repository: deps.repository ?? "" };
  const render = (template: string) => renderTemplate(template, values, tokenizer);
  const alone = manifest.prompt[order] ?? psm;
  const head = mode === "full" && repository !== undefined ? render(repository.head) : [];
  const file = render(mode === "full" && repository !== undefined ? repository.file : alone);

  const contextRoom = mode === "full" ? Math.min(budget.context, room - head.length - file.length) : 0;
  const context = takeText(candidates, contextRoom, manifest, tokenizer);
  const { entityNames } = manifest.prompt;
  const named =
    entityNames === undefined || names.length === 0
      ? []
      : renderTemplate(entityNames.template, { names: names.join(" ") }, tokenizer);
  const rows = mode === "compressed" ? takePseudoTokens(candidates, deps) : { used: [], data: new Float32Array(0) };

  // With nothing retrieved the file stands alone.
  const isAlone = repository !== undefined && mode === "full" && context.used.length === 0;
  const tokens = Int32Array.from(isAlone ? render(alone) : [...named, ...head, ...context.ids, ...file]);
  const pseudoTokens = rows.data.length / manifest.reader.readerDim;
  return {
    input: { pseudoTokens: rows.data, tokens },
    used: mode === "full" ? context.used : rows.used,
    promptTokens: tokens.length + pseudoTokens,
    contextTokens: context.ids.length,
    nameTokens: named.length,
    pseudoTokens,
    copying,
  };
}

const SPECIAL = /(<\|\w+\|>)/;

/** Only the template's own text may hold special tokens; what is filled in between them stays text. */
function renderTemplate(template: string, values: Readonly<Record<string, string>>, tokenizer: Tokenizer): number[] {
  return template.split(SPECIAL).flatMap((part) => {
    if (SPECIAL.test(part)) return tokenizer.encode(part, true);
    return tokenizer.encode(part.replace(/\{(\w+)\}/g, (placeholder, name: string) => values[name] ?? placeholder));
  });
}

function takeText(
  candidates: readonly Candidate[],
  room: number,
  manifest: PackManifest,
  tokenizer: Tokenizer,
): { used: Candidate[]; ids: number[] } {
  const used: Candidate[] = [];
  let ids: number[] = [];
  for (const candidate of candidates) {
    if (ids.length >= room) break;
    const { path, text } = candidate.node;
    if (text.trimEnd().length > (room - ids.length) * MAX_CHARS_PER_TOKEN) continue;
    const rendered = renderTemplate(manifest.prompt.retrieved, { path, text: text.trimEnd() }, tokenizer);
    if (ids.length + rendered.length > room) continue;
    used.push(candidate);
    ids = [...rendered, ...ids];
  }
  return { used, ids };
}

function takePseudoTokens(
  candidates: readonly Candidate[],
  deps: AssembleDeps,
): { used: Candidate[]; data: Float32Array } {
  const { projector, prompt } = deps.manifest;
  if (projector === undefined) return { used: [], data: new Float32Array(0) };
  const width = projector.perNode * projector.readerDim;
  const nodes = Math.floor(prompt.budget.pseudoTokens / projector.perNode);
  const stored = deps.pseudoTokensOf(candidates.map((candidate) => candidate.node.id));
  const used = candidates.filter((candidate) => stored.has(candidate.node.id)).slice(0, nodes);
  const data = new Float32Array(used.length * width);
  used.forEach((candidate, rank) => {
    const row = stored.get(candidate.node.id);
    if (row !== undefined) data.set(row, (used.length - 1 - rank) * width);
  });
  return { used, data };
}
