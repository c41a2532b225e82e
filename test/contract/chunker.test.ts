// The chunk worker with the bundled pack's own tokenizer, as the engine runs it: from the sources.
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Chunker, startChunker } from "../../engine/indexing/chunker.ts";
import { encoderText } from "../../engine/indexing/embed.ts";
import { exportChunks } from "../../engine/indexing/exportChunks.ts";
import { loadTokenizer, type Tokenizer } from "../../engine/infer/tokenizer.ts";

const PACK = new URL("../../packs/precis-python-small/", import.meta.url).pathname;
const SOURCES = new URL("../../training/", import.meta.url).pathname;
const workerUrl = new URL("../../engine/indexing/chunkWorker.ts", import.meta.url);
const tokenizerFile = join(PACK, "tokenizer.json");

let chunker: Chunker;
let tokenizer: Tokenizer;

beforeAll(async () => {
  chunker = await startChunker({ workerUrl, tokenizerFile, maxTokens: 128 });
  tokenizer = await loadTokenizer(tokenizerFile);
});

afterAll(() => chunker.close());

function sources(): { path: string; text: string }[] {
  const names = readdirSync(SOURCES).filter((name) => name.endsWith(".py"));
  return names.map((path) => ({ path, text: readFileSync(join(SOURCES, path), "utf8") }));
}

test("claims what the languages claim", () => {
  expect(chunker.supports("a/b.py")).toBe(true);
  expect(chunker.supports("a/b.PYI")).toBe(true);
  expect(chunker.supports("a/b.md")).toBe(false);
});

describe("token counts are those of the pack's tokenizer", () => {
  const odd = [
    ["line breaks of every kind", "a = 1\r\nb = (\r\n\r\n  \r\n2)\rc = 3\n\n\n\t\n  d = {}\n"],
    ["marks that look like special tokens", "x = '<|fim_middle|>'\ny = '<|endoftext|>'\n".repeat(30)],
    ["scripts and emoji", "é = '日本語 🚀🚀 𝒳'\n# ❤️ ﬁ Å\u0301\nprint('\u00a0\u2028x')\n".repeat(20)],
    ["brackets before line breaks", "f(\n\n[\n{\n}\n]\n\n)\n):\n\n\n  ))\n".repeat(20)],
    ["one long line", `x = [${"12, 'ab', ".repeat(400)}]\n`],
    ["no line break at the end", "def f():\n    return 1"],
  ] as const;

  test.each(odd)("%s", async (_name, text) => {
    const { chunks } = await chunker.chunk({ path: "a.py", text });
    expect(chunks.length).toBeGreaterThan(0);
    for (const each of chunks) {
      expect(each.tokens).toBe(tokenizer.encode(each.text).length);
      expect(each.tokens).toBeLessThanOrEqual(128);
    }
  });

  test("real sources", async () => {
    let chunksSeen = 0;
    for (const file of sources()) {
      const { chunks, problems } = await chunker.chunk(file);
      expect(problems).toEqual([]);
      for (const each of chunks) expect(each.tokens, file.path).toBe(tokenizer.encode(each.text).length);
      chunksSeen += chunks.length;
    }
    expect(chunksSeen).toBeGreaterThan(50);
  });
});

test("many files at once come back to their own callers", async () => {
  const files = Array.from({ length: 50 }, (_, n) => ({ path: `f${n}.py`, text: `def f${n}(): pass\n` }));
  const all = await Promise.all(files.map((file) => chunker.chunk(file)));
  expect(all.map(({ chunks }) => chunks[0]?.features.qualifiedName)).toEqual(files.map((_, n) => `f${n}`));
});

test("a caller who gives up hears so, the others their answer", async () => {
  const aborter = new AbortController();
  const given = chunker.chunk({ path: "a.py", text: "x = 1\n" }, aborter.signal);
  const kept = chunker.chunk({ path: "b.py", text: "y = 2\n" });
  aborter.abort(new Error("not needed"));
  await expect(given).rejects.toThrow("not needed");
  expect((await kept).chunks[0]?.text).toBe("y = 2");
});

test("the export gives each chunk with the text the encoder reads", async () => {
  const dir = mkdtempSync(join(tmpdir(), "precis-export-"));
  writeFileSync(join(dir, "a.py"), "class A:\n    def f(self): return 1\n");
  writeFileSync(join(dir, "b.txt"), "not Python");
  const rows = [];
  for await (const row of exportChunks(dir, chunker)) rows.push(row);
  rmSync(dir, { recursive: true });
  const { chunks } = await chunker.chunk({ path: "a.py", text: "class A:\n    def f(self): return 1\n" });
  const { features, ...chunk } = chunks[0] ?? expect.fail("no chunk");
  expect(rows).toEqual([{ path: "a.py", ...chunk, ...features, encoderText: encoderText({ ...chunk, features }) }]);
  expect(rows[0]?.encoderText).toBe("# A\nclass A:\n    def f(self): return 1");
});

test("a grammar that cannot be loaded costs every file its parse, and no more", async () => {
  const dir = mkdtempSync(join(tmpdir(), "precis-grammar-"));
  const module = new URL("../../node_modules/web-tree-sitter/web-tree-sitter.wasm", import.meta.url);
  copyFileSync(module, join(dir, "web-tree-sitter.wasm"));
  writeFileSync(join(dir, "broken.wasm"), "this is no WebAssembly");
  writeFileSync(
    join(dir, "broken.scm"),
    "; language: broken\n; extensions: .py\n; grammar: x/broken.wasm\n(module) @statement\n",
  );
  const languages = { languagesDir: dir, grammarsDir: dir };
  const broken = await startChunker({ workerUrl, tokenizerFile, maxTokens: 16, languages });
  for (const path of ["a.py", "b.py"]) {
    const { chunks, problems } = await broken.chunk({ path, text: "x = 1\n" });
    expect(chunks.map(({ text }) => text)).toEqual(["x = 1"]);
    expect(problems).toMatchObject([{ code: "PARSE_FALLBACK", path }]);
    expect(problems[0]?.detail).not.toContain("died");
  }
  await broken.close();
  rmSync(dir, { recursive: true });
});

describe("a worker that dies", () => {
  let dir: string;

  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), "precis-worker-"));
  });

  afterAll(() => rmSync(dir, { recursive: true }));

  /** A worker that ends its thread when it meets a certain text. */
  async function startFragile(dies: string): Promise<Chunker> {
    const file = join(dir, `${dies.replace(/\W/g, "")}.mjs`);
    writeFileSync(
      file,
      `import { parentPort } from "node:worker_threads";
       parentPort.postMessage({ kind: "ready", extensions: [".py"] });
       parentPort.on("message", ({ id, path, text, isParsed }) => {
         if (${dies}) throw new Error("overflow");
         const features = { kind: isParsed ? "parsed" : "text" };
         parentPort.postMessage({ kind: "chunks", id, chunks: [{ text, features }], problems: [] });
       });`,
    );
    return startChunker({ workerUrl: new URL(`file://${file}`), tokenizerFile, maxTokens: 16 });
  }

  test("costs the file that killed it its parse, and others nothing", async () => {
    const fragile = await startFragile('isParsed && text === "deep"');
    const texts = ["a", "deep", "b", "deep", "c"];
    const all = await Promise.all(texts.map((text, n) => fragile.chunk({ path: `${n}.py`, text })));
    expect(all.map(({ chunks }) => chunks.map(({ text, features }) => `${text} ${features.kind}`).join())).toEqual([
      "a parsed",
      "deep text",
      "b parsed",
      "deep text",
      "c parsed",
    ]);
    expect(all.flatMap(({ problems }) => problems).map(({ code, path }) => `${code} ${path}`)).toEqual([
      "PARSE_FALLBACK 1.py",
      "PARSE_FALLBACK 3.py",
    ]);
    await fragile.close();
  });

  test("twice of one file gives no chunks, and a problem", async () => {
    const fragile = await startFragile('text === "worse"');
    const [bad, good] = await Promise.all([
      fragile.chunk({ path: "bad.py", text: "worse" }),
      fragile.chunk({ path: "good.py", text: "fine" }),
    ]);
    expect(bad.chunks).toEqual([]);
    expect(bad.problems.map(({ code }) => code)).toContain("PARSE_FALLBACK");
    expect(good.chunks).toHaveLength(1);
    await fragile.close();
  });

  test("at the start is a named error", async () => {
    await expect(
      startChunker({ workerUrl, tokenizerFile: join(dir, "missing.json"), maxTokens: 16 }),
    ).rejects.toMatchObject({ code: "WORKER_FAILED" });
  });

  test("and does not start again tells those who wait, and those who come later", async () => {
    const flag = join(dir, "started");
    const file = join(dir, "once.mjs");
    writeFileSync(
      file,
      `import { existsSync, writeFileSync } from "node:fs";
       import { parentPort } from "node:worker_threads";
       if (existsSync(${JSON.stringify(flag)})) throw new Error("not again");
       writeFileSync(${JSON.stringify(flag)}, "");
       parentPort.postMessage({ kind: "ready", extensions: [".py"] });
       parentPort.on("message", () => { throw new Error("overflow"); });`,
    );
    const once = await startChunker({ workerUrl: new URL(`file://${file}`), tokenizerFile, maxTokens: 16 });
    const waiting = ["a.py", "b.py"].map((path) => once.chunk({ path, text: "x = 1\n" }));
    const answers = await Promise.allSettled(waiting);
    expect(answers.map((answer) => answer.status === "rejected" && answer.reason.code)).toEqual([
      "WORKER_FAILED",
      "WORKER_FAILED",
    ]);
    await expect(async () => once.chunk({ path: "c.py", text: "" })).rejects.toMatchObject({ code: "WORKER_FAILED" });
    await once.close();
  });

  test("closing tells those who wait", async () => {
    const closing = await startChunker({ workerUrl, tokenizerFile, maxTokens: 16 });
    const waiting = closing.chunk({ path: "a.py", text: "x = 1\n".repeat(10_000) });
    const told = expect(waiting).rejects.toMatchObject({ code: "WORKER_FAILED" });
    await closing.close();
    await told;
  });
});
