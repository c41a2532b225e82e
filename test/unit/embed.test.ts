// What the encoder is given of a chunk, by its modality.
import { expect, it } from "vitest";
import type { Chunk } from "../../engine/domain.ts";
import { encoderText } from "../../engine/indexing/embed.ts";

const FEATURES = {
  kind: "method",
  qualifiedName: "Box.area",
  signature: "def area(self)",
  defines: ["area"],
  references: [],
  imports: [],
  linearised: "(function_definition area)",
};
const CHUNK: Chunk = {
  start: 0,
  end: 22,
  startLine: 1,
  endLine: 2,
  text: "def area(self):\n    ...",
  tokens: 9,
  features: FEATURES,
};

it("a text encoder reads the name line and the text", () => {
  expect(encoderText(CHUNK)).toBe("# Box.area\ndef area(self):\n    ...");
  expect(encoderText({ ...CHUNK, features: { ...FEATURES, qualifiedName: "" } })).toBe(CHUNK.text);
});

it("a syntax encoder reads the linearised tree, as in training; the bare text where nothing was parsed", () => {
  expect(encoderText(CHUNK, "ast")).toBe("(function_definition area)");
  expect(encoderText({ ...CHUNK, features: { ...FEATURES, linearised: "" } }, "ast")).toBe(CHUNK.text);
});
