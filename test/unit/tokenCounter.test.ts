import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { createPairCounter } from "../../engine/indexing/bytePairs.ts";
import { createTokenCounter } from "../../engine/indexing/tokenCounter.ts";
import { loadTokenizer } from "../../engine/infer/tokenizer.ts";

const FILE = {
  added_tokens: [{ content: "<|end|>" }],
  pre_tokenizer: {
    type: "Sequence",
    pretokenizers: [{ type: "Split", pattern: { Regex: "[a-z]+|\\s+|[^a-z\\s]+" } }, { type: "ByteLevel" }],
  },
};

/** Tells which texts were encoded; each counts as one token. */
function counterOf(file: Parameters<typeof createTokenCounter>[0]) {
  const encoded: string[] = [];
  const count = createTokenCounter(file, (text) => {
    encoded.push(text);
    return 1;
  });
  return { count, encoded };
}

test("words are encoded once, and counted as often as they come", () => {
  const { count, encoded } = counterOf(FILE);
  expect(count("ab cd ab!")).toBe(6);
  expect(count("cd")).toBe(1);
  expect(encoded).toEqual(["ab", " ", "cd", "!"]);
});

test.each([
  ["text outside ASCII", FILE, "ab é"],
  ["markers of special tokens", FILE, "ab <|end|> cd"],
  ["a tokenizer without a pattern", { pre_tokenizer: { type: "ByteLevel" } }, "ab cd"],
  [
    "a tokenizer that cuts twice",
    {
      pre_tokenizer: {
        ...FILE.pre_tokenizer,
        pretokenizers: [...FILE.pre_tokenizer.pretokenizers, { type: "Digits" }],
      },
    },
    "ab cd",
  ],
  [
    "a pattern of another engine",
    {
      pre_tokenizer: {
        type: "Sequence",
        pretokenizers: [{ type: "Split", pattern: { Regex: "(?>a)" } }, { type: "ByteLevel" }],
      },
    },
    "ab cd",
  ],
])("%s: encoded whole", (_name, file, text) => {
  const { count, encoded } = counterOf(file);
  count(text);
  expect(encoded).toEqual([text]);
});

describe("words counted pair by pair", () => {
  const PACK = new URL("../../packs/precis-python-small/tokenizer.json", import.meta.url).pathname;
  const model = JSON.parse(readFileSync(PACK, "utf8")).model;

  test("as the pack's tokenizer encodes them, every ASCII character and the words of a real file", async () => {
    const tokenizer = await loadTokenizer(PACK);
    const count = createPairCounter(model) ?? expect.fail("the pack's tokenizer is a byte-level BPE");
    const source = readFileSync(new URL("./tokenCounter.test.ts", import.meta.url), "utf8");
    const words = [
      ...Array.from({ length: 128 }, (_, byte) => `a${String.fromCharCode(byte)}b`),
      ...(source.match(/ ?[a-z]+|[!-@[-`{-~]+\n*|\s+/gi) ?? []),
    ];
    expect(words.length).toBeGreaterThan(500);
    for (const word of words) expect(count(word), JSON.stringify(word)).toBe(tokenizer.encode(word).length);
  });

  test.each([
    ["letters outside ASCII", "naïve"],
    ["words of more than 64 letters", "x".repeat(65)],
  ])("%s are left to the tokenizer", (_name, word) => {
    expect(createPairCounter(model)?.(word)).toBeUndefined();
  });

  test.each([
    ["another kind of model", { type: "Unigram" }],
    ["dropout", { ...model, dropout: 0.1 }],
    ["merges that are ignored for whole words", { ...model, ignore_merges: true }],
    ["marks at the ends of words", { ...model, end_of_word_suffix: "</w>" }],
    ["a vocabulary without all letters", { ...model, vocab: { a: 0 } }],
  ])("not for %s", (_name, odd) => {
    expect(createPairCounter(odd)).toBeUndefined();
  });
});
