// Names are chosen as the reader's training chose them: both are tested on the same cases.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { entityNames } from "../../engine/completion/entityNames.ts";

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
  expect(entityNames(chunks, { prefix, suffix }, budget, (text) => text.length)).toEqual(names);
});
