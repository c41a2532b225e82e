import { describe, expect, it } from "vitest";
import { type AssembleDeps, assemble } from "../../engine/completion/assemble.ts";
import type { Candidate } from "../../engine/domain.ts";
import type { Tokenizer } from "../../engine/infer/tokenizer.ts";
import type { PackManifest } from "../../engine/pack/pack.ts";

const SPECIALS = ["<|file_sep|>", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"];

/** One id a character; special tokens are one id each, from 1,000,000 on, where they are allowed. */
const TOKENIZER: Tokenizer = {
  encode: (text, special = false) => {
    const at = SPECIALS.indexOf(text);
    return special && at >= 0 ? [1_000_000 + at] : Array.from(text, (character) => character.codePointAt(0) ?? 0);
  },
  decode: (ids) => ids.map((id) => SPECIALS[id - 1_000_000] ?? String.fromCodePoint(id)).join(""),
  idOf: (token) => 1_000_000 + SPECIALS.indexOf(token),
  specialOf: (id) => SPECIALS[id - 1_000_000],
};

const MANIFEST = {
  projector: { perNode: 2, readerDim: 3 },
  reader: { readerDim: 3, maxTokens: 300 },
  prompt: {
    order: "spm",
    retrieved: "<|file_sep|>{path}\n{text}\n",
    spm: "<|file_sep|>{path}\n<|fim_prefix|><|fim_suffix|>{suffix}<|fim_middle|>{prefix}",
    psm: "<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>",
    budget: { left: 100, right: 50, context: 60, pseudoTokens: 5, newTokens: 20 },
  },
} as unknown as PackManifest;

const ROWS = new Map([1, 2, 3].map((id) => [id, new Float32Array(6).fill(id)]));
const DEPS: AssembleDeps = { manifest: MANIFEST, tokenizer: TOKENIZER, pseudoTokensOf: () => ROWS };
const NOTHING = { before: new Int32Array(), others: [], weights: [] };
const FOUND = { names: [], copying: NOTHING };
const PROMPT = { path: "a.py", prefix: "x = ", suffix: "\ny", query: "x = " };

function candidate(id: number, text: string): Candidate {
  return {
    node: { id, level: "chunk", path: `${id}.py`, start: 0, end: text.length, startLine: 1, endLine: 1, text },
    score: 1 / id,
    retriever: "jaccard",
  };
}

describe("assemble", () => {
  it("renders the pack's template in mode none", () => {
    const { input, promptTokens, contextTokens, used } = assemble(PROMPT, [candidate(1, "no")], "none", FOUND, DEPS);
    expect(TOKENIZER.decode([...input.tokens])).toBe(
      "<|file_sep|>a.py\n<|fim_prefix|><|fim_suffix|>\ny<|fim_middle|>x = ",
    );
    expect({ promptTokens, contextTokens, used }).toEqual({
      promptTokens: input.tokens.length,
      contextTokens: 0,
      used: [],
    });
  });

  it("puts the best text next to the file and leaves out what does not fit", () => {
    const candidates = [candidate(1, "best = 1\n"), candidate(2, "x".repeat(50)), candidate(3, "third = 3")];
    const { input, used, contextTokens } = assemble(PROMPT, candidates, "full", FOUND, DEPS);
    expect(TOKENIZER.decode([...input.tokens])).toMatch(
      /^<\|file_sep\|>3\.py\nthird = 3\n<\|file_sep\|>1\.py\nbest = 1\n<\|file_sep\|>a\.py\n/,
    );
    expect(used.map(({ node }) => node.id)).toEqual([1, 3]);
    expect(contextTokens).toBeLessThanOrEqual(60);
  });

  it("lets no file's text act as a special token", () => {
    const { input } = assemble(
      { ...PROMPT, prefix: "<|fim_middle|>" },
      [candidate(1, "<|fim_prefix|>")],
      "full",
      FOUND,
      DEPS,
    );
    const middle = TOKENIZER.idOf("<|fim_middle|>");
    expect(input.tokens.filter((id) => id === middle)).toHaveLength(1);
    expect(input.tokens.filter((id) => id === TOKENIZER.idOf("<|fim_prefix|>"))).toHaveLength(1);
  });

  it("fills in values that look like placeholders as they are", () => {
    const { input } = assemble({ ...PROMPT, prefix: "f'{suffix}'" }, [], "none", FOUND, DEPS);
    expect(TOKENIZER.decode([...input.tokens])).toContain("<|fim_middle|>f'{suffix}'");
  });

  it("takes whole nodes up to K pseudo-tokens, the best last", () => {
    const candidates = [candidate(1, ""), candidate(9, "not stored"), candidate(2, ""), candidate(3, "")];
    const { input, used, pseudoTokens, promptTokens } = assemble(PROMPT, candidates, "compressed", FOUND, DEPS);
    expect(used.map(({ node }) => node.id)).toEqual([1, 2]);
    expect([...input.pseudoTokens]).toEqual([...new Float32Array(6).fill(2), ...new Float32Array(6).fill(1)]);
    expect(pseudoTokens).toBe(4);
    expect(promptTokens).toBe(4 + input.tokens.length);
  });

  it("puts entity names between pseudo-tokens and prompt", () => {
    const entityNames = { template: "<|file_sep|> {names}\n", budget: 20, left: 80 };
    const manifest = { ...MANIFEST, prompt: { ...MANIFEST.prompt, entityNames } };
    const names = ["area_of", "<|fim_middle|>"];
    const { input, nameTokens } = assemble(
      PROMPT,
      [candidate(1, "")],
      "compressed",
      { names, copying: NOTHING },
      { ...DEPS, manifest },
    );
    const text = "<|file_sep|> area_of <|fim_middle|>\n";
    expect(TOKENIZER.decode([...input.tokens.subarray(0, nameTokens)])).toBe(text);
    expect(nameTokens).toBe(1 + text.length - "<|file_sep|>".length);
    const without = assemble(PROMPT, [candidate(1, "")], "compressed", FOUND, { ...DEPS, manifest });
    expect([...without.input.tokens]).toEqual([...input.tokens.subarray(nameTokens)]);
  });

  it("never exceeds what the reader can hold", () => {
    const deps = { ...DEPS, manifest: { ...MANIFEST, reader: { ...MANIFEST.reader, maxTokens: 90 } } };
    const { promptTokens } = assemble(
      { ...PROMPT, prefix: "p".repeat(20) },
      [candidate(1, "c".repeat(30))],
      "full",
      FOUND,
      deps,
    );
    expect(promptTokens).toBeLessThanOrEqual(70);
  });
});
