import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { trackedFiles } from "./trackedFiles.ts";

/** A longer file does more than one thing: split it by stage or by noun. */
const MOST_LINES = 400;

test("no source file is longer than 400 lines", () => {
  const files = trackedFiles(/\.(ts|mjs|py)$/);
  expect(files.length).toBeGreaterThan(30);
  const long = files
    .map((file) => ({ file, lines: readFileSync(file, "utf8").split("\n").length - 1 }))
    .filter(({ lines }) => lines > MOST_LINES);
  expect(long).toEqual([]);
});
