// Names are chosen as the reader's training chose them: both are tested on the same cases.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { entityNames } from "../../engine/completion/entityNames.ts";
import { reservedWords } from "../../engine/completion/languageWords.ts";
import { loadLanguages } from "../../engine/languages/languages.ts";

const reserved = reservedWords();

interface Case {
  readonly name: string;
  readonly chunks: readonly string[];
  readonly prefix: string;
  readonly suffix: string;
  /** In characters, a space before each name included. */
  readonly budget: number;
  readonly names: readonly string[];
}

const cases: readonly Case[] = JSON.parse(
  readFileSync(new URL("../fixtures/entityNames.json", import.meta.url), "utf8"),
);

test.each(cases)("$name", ({ chunks, prefix, suffix, budget, names }) => {
  const python = chunks.map((text) => ({ text, reserved: reserved("python") }));
  expect(entityNames(python, { prefix, suffix }, budget, (text) => text.length)).toEqual(names);
});

test("each chunk's language has its own words, and one that is not known has none", () => {
  const names = (text: string, language: string) =>
    entityNames([{ text, reserved: reserved(language) }], { prefix: "", suffix: "" }, 400, () => 1);
  const line = "import interface from console as widget";
  expect(names(line, "typescript")).toEqual(["widget"]);
  expect(names(line, "python")).toEqual(["interface", "console", "widget"]);
  expect(names(line, "unheard of")).toEqual(["import", "interface", "from", "console", "widget"]);
});

test("every language has words of its own", async () => {
  const { all } = await loadLanguages();
  for (const { name } of all) expect(reserved(name).size, name).toBeGreaterThan(10);
});
