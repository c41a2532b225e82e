// Every case under test/fixtures/completions/filters: raw reader text through all filters, with the real grammars.
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createDocumentSyntax } from "../../engine/completion/documentSyntax.ts";
import { FILTERS, postprocess } from "../../engine/completion/postprocess.ts";
import { surroundingsOf } from "../../engine/completion/surroundings.ts";
import { loadLanguages } from "../../engine/languages/languages.ts";
import { cutCursor, type GoldenCase, readGoldenCases } from "./goldenCases.ts";

const CASES = readGoldenCases(join(import.meta.dirname, "../fixtures/completions/filters"));
const STOP_TOKENS = ["<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|file_sep|>"];
const syntaxes = createDocumentSyntax(await loadLanguages());

function run({ options, sections }: GoldenCase) {
  const { text, offset } = cutCursor(sections["document"] ?? "");
  const path = options["path"] ?? "case.py";
  const syntax = syntaxes.of(path, text, "");
  const around = surroundingsOf(
    { path, text, offset },
    {
      maxLines: Number(options["lines"] ?? 1),
      isCutShort: options["ended"] === "max-tokens",
      stopTokens: STOP_TOKENS,
      syntax,
      place: syntax?.placeAt(text, offset),
    },
  );
  const { offer, droppedBy, fired } = postprocess(sections["raw"] ?? "", around);
  if (offer === undefined) return { silent: droppedBy, fired };
  const after = text.slice(offset + offer.replaceRight);
  return { becomes: `${text.slice(0, offset)}${offer.text}│${after}`, fired };
}

describe("golden completions", () => {
  it.each(CASES)("$file: $name", (golden) => {
    const { fired, ...outcome } = run(golden);
    const { becomes, silent } = golden.sections;
    expect(outcome).toEqual(becomes === undefined ? { silent } : { becomes });
    if (golden.options["fires"] !== undefined) expect(fired).toContain(golden.options["fires"]);
  });

  it("shows every filter at work", () => {
    const seen = new Set(CASES.flatMap((golden) => run(golden).fired));
    expect(FILTERS.map(({ name }) => name).filter((name) => !seen.has(name))).toEqual([]);
  });
});
