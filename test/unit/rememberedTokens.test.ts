import { expect, test } from "vitest";
import { rememberTokens } from "../../engine/infer/rememberedTokens.ts";
import type { Tokenizer } from "../../engine/infer/tokenizer.ts";

/** One token a character; tells which texts were encoded. */
function counting(): { tokenizer: Tokenizer; encoded: string[] } {
  const encoded: string[] = [];
  const encode = (text: string) => {
    encoded.push(text);
    return [...text].map((character) => character.codePointAt(0) ?? 0);
  };
  const tokenizer: Tokenizer = {
    encode,
    decode: (ids) => String.fromCodePoint(...ids),
    idOf: () => 0,
    specialOf: () => undefined,
  };
  return { tokenizer, encoded };
}

test("a text is tokenised once", () => {
  const { tokenizer, encoded } = counting();
  const remembering = rememberTokens(tokenizer);
  expect(remembering.encode("ab")).toEqual([97, 98]);
  expect(remembering.encode("ab")).toEqual([97, 98]);
  expect(encoded).toEqual(["ab"]);
  expect(remembering.decode([97])).toBe("a");
});

test("what was used longest ago is forgotten first", () => {
  const { tokenizer, encoded } = counting();
  const remembering = rememberTokens(tokenizer, 4);
  for (const text of ["ab", "cd", "ab", "ef", "ab", "cd"]) remembering.encode(text);
  expect(encoded).toEqual(["ab", "cd", "ef", "cd"]);
});

test("a text that means special tokens is another text", () => {
  const { tokenizer, encoded } = counting();
  const remembering = rememberTokens(tokenizer);
  remembering.encode("<|a|>");
  remembering.encode("<|a|>", true);
  expect(encoded).toEqual(["<|a|>", "<|a|>"]);
});
