import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { copySources, evidenceOf, PIECE } from "../../engine/completion/copySources.ts";
import type { Candidate } from "../../engine/domain.ts";
import { loadTokenizer, type Tokenizer } from "../../engine/infer/tokenizer.ts";

const tokenizer = await loadTokenizer(
  new URL("../../packs/precis-python-small/tokenizer.json", import.meta.url).pathname,
);
const FILE = "import os\n\n\n   \nclass A:\n    def f(self):\n\n        return os.getcwd()\n\n\n\ndef g():\n    pass\n";

function chunk(id: number, level: "chunk" | "file" = "chunk"): Candidate {
  const node = { id, level, path: "b.py", start: 0, end: 9, startLine: 1, endLine: 1, text: `x${id} = 1` };
  return { node, score: 1, retriever: "jaccard" };
}

it("tokenises line by line as it would the whole", async () => {
  const offset = FILE.indexOf("return");
  const { before, others } = await copySources({ path: "a.py", text: FILE, offset }, [], tokenizer);
  expect([...before]).toEqual([...tokenizer.encode(FILE.slice(0, FILE.indexOf("        return")))]);
  expect([...(others[0] ?? [])]).toEqual([...tokenizer.encode(FILE.slice(offset))]);
});

it("goes back to the start of a line, and takes the best chunks", async () => {
  const text = `${"value = compute(value)\n".repeat(2000)}last`;
  const candidates = [chunk(1, "file"), ...Array.from({ length: 12 }, (_, n) => chunk(n + 2))];
  const { before, others } = await copySources({ path: "a.py", text, offset: text.length }, candidates, tokenizer);
  const kept = tokenizer.decode([...before]);
  expect(kept.length).toBeLessThanOrEqual(20_000);
  expect(kept).toMatch(/^value = compute.*\nlast$/s);
  expect(others.slice(1).map((ids) => tokenizer.decode([...ids]))).toEqual(
    Array.from({ length: 8 }, (_, n) => `x${n + 2} = 1\n`),
  );
});

/** Adds up what is tokenised in each turn of the event loop. */
function counted(): { readonly tokenizer: Tokenizer; readonly turns: number[] } {
  const turns: number[] = [];
  let isNew = true;
  const encode: Tokenizer["encode"] = (text) => {
    if (isNew) {
      turns.push(0);
      isNew = false;
      setImmediate(() => {
        isNew = true;
      });
    }
    turns.push((turns.pop() ?? 0) + text.length);
    return tokenizer.encode(text);
  };
  return { tokenizer: { ...tokenizer, encode }, turns };
}

const LONG = "value = compute(value)\n".repeat(2000);
const longest = { path: "a.py", text: LONG, offset: LONG.length / 2 };

it("tokenises no more in one turn than keeps the editor waiting, and the same", async () => {
  const { tokenizer: observed, turns } = counted();
  const { before, others } = await copySources(longest, [chunk(1)], observed);
  expect(turns.length).toBeGreaterThanOrEqual(10);
  expect(Math.max(...turns)).toBeLessThanOrEqual(PIECE);
  const [kept, behind] = [LONG.slice(0, 869 * 23), LONG.slice(longest.offset, longest.offset + 20_000)];
  expect([...before]).toEqual([...tokenizer.encode(kept)]);
  expect([...(others[0] ?? [])]).toEqual([...tokenizer.encode(behind)]);
});

it("tokenises a line whole, however long it is", async () => {
  const { tokenizer: observed, turns } = counted();
  const text = `a = [${"1, ".repeat(3000)}]\nb = 1\n`;
  const { before } = await copySources({ path: "a.py", text, offset: text.length }, [], observed);
  expect([...before]).toEqual([...tokenizer.encode(text)]);
  expect(turns).toEqual([text.length - 6, 6]);
});

it("stops for a request that nobody waits for", async () => {
  const { tokenizer: observed, turns } = counted();
  const aborter = new AbortController();
  const sources = copySources(longest, [], observed, aborter.signal);
  aborter.abort("superseded");
  await expect(sources).rejects.toBe("superseded");
  expect(turns.length).toBe(1);
});

/** Tested in training too: what copied tokens weigh was fitted with the same. */
const cases: readonly { readonly chunk: string; readonly evidence: string }[] = JSON.parse(
  readFileSync(new URL("../fixtures/copyEvidence.json", import.meta.url), "utf8"),
);

it.each(cases)("of $chunk only what is known is evidence", ({ chunk, evidence }) => {
  expect(evidenceOf(chunk)).toBe(evidence);
});
