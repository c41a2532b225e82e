import { expect, test } from "vitest";
import { createTokenCounter } from "../../engine/indexing/tokenCounter.ts";

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
