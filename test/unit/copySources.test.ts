import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { copySources, evidenceOf } from "../../engine/completion/copySources.ts";
import type { Candidate } from "../../engine/domain.ts";
import { loadTokenizer } from "../../engine/infer/tokenizer.ts";

const tokenizer = await loadTokenizer(
  new URL("../../packs/precis-python-small/tokenizer.json", import.meta.url).pathname,
);
const FILE = "import os\n\n\n   \nclass A:\n    def f(self):\n\n        return os.getcwd()\n\n\n\ndef g():\n    pass\n";

function chunk(id: number, level: "chunk" | "file" = "chunk"): Candidate {
  const node = { id, level, path: "b.py", start: 0, end: 9, startLine: 1, endLine: 1, text: `x${id} = 1` };
  return { node, score: 1, retriever: "jaccard" };
}

it("tokenises line by line as it would the whole", () => {
  const offset = FILE.indexOf("return");
  const { before, others } = copySources({ path: "a.py", text: FILE, offset }, [], tokenizer);
  expect([...before]).toEqual([...tokenizer.encode(FILE.slice(0, FILE.indexOf("        return")))]);
  expect([...(others[0] ?? [])]).toEqual([...tokenizer.encode(FILE.slice(offset))]);
});

it("goes back to the start of a line, and takes the best chunks", () => {
  const text = `${"value = compute(value)\n".repeat(2000)}last`;
  const candidates = [chunk(1, "file"), ...Array.from({ length: 12 }, (_, n) => chunk(n + 2))];
  const { before, others } = copySources({ path: "a.py", text, offset: text.length }, candidates, tokenizer);
  const kept = tokenizer.decode([...before]);
  expect(kept.length).toBeLessThanOrEqual(20_000);
  expect(kept).toMatch(/^value = compute.*\nlast$/s);
  expect(others.slice(1).map((ids) => tokenizer.decode([...ids]))).toEqual(
    Array.from({ length: 8 }, (_, n) => `x${n + 2} = 1\n`),
  );
});

/** Tested in training too: what copied tokens weigh was fitted with the same. */
const cases: readonly { readonly chunk: string; readonly evidence: string }[] = JSON.parse(
  readFileSync(new URL("../fixtures/copyEvidence.json", import.meta.url), "utf8"),
);

it.each(cases)("of $chunk only what is known is evidence", ({ chunk, evidence }) => {
  expect(evidenceOf(chunk)).toBe(evidence);
});
