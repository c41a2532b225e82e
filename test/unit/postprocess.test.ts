import { describe, expect, it } from "vitest";
import { postprocess } from "../../engine/completion/postprocess.ts";

interface Case {
  readonly name: string;
  /** Document with the cursor as █. */
  readonly document: string;
  readonly raw: string;
  /** Document after accepting, or the filter that dropped the offer. */
  readonly expected: string | { droppedBy: string };
  readonly maxLines?: number;
}

const CASES: readonly Case[] = [
  { name: "keeps one line", document: "x = █\n", raw: "1\ny = 2\n", expected: "x = 1\n" },
  {
    name: "skips blank lines on an empty line",
    document: "    █\n",
    raw: "\n\n    return 1\n",
    expected: "    return 1\n",
  },
  {
    name: "goes on below a finished line",
    document: "def f():█\n",
    raw: "\n    return 1\n    # more\n",
    expected: "def f():\n    return 1\n",
  },
  {
    name: "counts lines that say something",
    document: "█",
    raw: "a = 1\n\nb = 2\nc = 3\n",
    expected: "a = 1\n\nb = 2",
    maxLines: 2,
  },
  { name: "takes off the indentation", document: "    █\n", raw: "    return 1\n", expected: "    return 1\n" },
  { name: "may indent further", document: "    █\n", raw: "        return 1\n", expected: "        return 1\n" },
  { name: "does not end a block", document: "    █\n", raw: "def g():\n", expected: { droppedBy: "indentation" } },
  {
    name: "does not mix tabs and spaces",
    document: "\t█\n",
    raw: "    return 1\n",
    expected: { droppedBy: "indentation" },
  },
  { name: "drops white space", document: "x = █\n", raw: "  \n \n", expected: { droppedBy: "empty" } },
  {
    name: "drops endless repetition",
    document: "x = █\n",
    raw: "get(a, a, a, a, a, a, a, a, a, a, ",
    expected: { droppedBy: "repetition" },
  },
  {
    name: "drops a stuck letter",
    document: "x = █\n",
    raw: "quantiiiiiiiiiiiiiii\n",
    expected: { droppedBy: "repetition" },
  },
  {
    name: "keeps a ruler",
    document: "# █\n",
    raw: "------------------------\n",
    expected: "# ------------------------\n",
  },
  {
    name: "keeps a list of numbers",
    document: "x = █\n",
    raw: "[0, 1, 2, 3, 4, 5, 6, 7]\n",
    expected: "x = [0, 1, 2, 3, 4, 5, 6, 7]\n",
  },
  {
    name: "drops what is already below",
    document: "    █\n    return total\n",
    raw: "    return total\n",
    expected: { droppedBy: "already-below" },
  },
  {
    name: "allows a bracket that stands below too",
    document: "f(\n    g(\n    █\n    )\n",
    raw: "    )\n",
    expected: "f(\n    g(\n    )\n    )\n",
  },
  {
    name: "replaces a closer the reader wrote itself",
    document: "print(█)\n",
    raw: "total)\n",
    expected: "print(total)\n",
  },
  { name: "stands before closers", document: "print(█)\n", raw: "total", expected: "print(total)\n" },
  { name: "keeps out of code", document: "a = █ + c\n", raw: "b", expected: { droppedBy: "text-right-of-cursor" } },
  { name: "drops half a character", document: "x = '█'\n", raw: "caf\uFFFD", expected: "x = 'caf'\n" },
  {
    name: "uses the file's line breaks",
    document: "def f():█\r\n",
    raw: "\n    return 1\n",
    expected: "def f():\r\n    return 1\r\n",
  },
];

describe("postprocess", () => {
  it.each(CASES)("$name", ({ document, raw, expected, maxLines = 1 }) => {
    const offset = document.indexOf("█");
    const text = document.replace("█", "");
    const [lineAfter = "", ...below] = text.slice(offset).split(/\r?\n/);
    const offer = postprocess(raw, {
      lineBefore: text.slice(text.lastIndexOf("\n", offset - 1) + 1, offset),
      lineAfter,
      lineBelow: below.find((line) => line.trim() !== "") ?? "",
      maxLines,
      lineBreak: text.includes("\r\n") ? "\r\n" : "\n",
    });
    if ("droppedBy" in offer) expect(offer).toEqual(expected);
    else expect(text.slice(0, offset) + offer.text + text.slice(offset + offer.replaceRight)).toBe(expected);
  });
});
