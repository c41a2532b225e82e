// Workspaces no one would wish for: what is good in them is indexed, what is not has a reason, and nothing is lost.
import { execFileSync } from "node:child_process";
import { rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { type Bench, functions, openBench } from "./indexing.ts";

const open: Bench[] = [];

afterEach(() => {
  for (const bench of open.splice(0)) bench.close();
});

async function bench(files: Record<string, string>): Promise<Bench> {
  const opened = await openBench(files);
  open.push(opened);
  return opened;
}

test("everything odd at once", async () => {
  const { indexer, root, store } = await bench({
    "good.py": functions(2),
    "broken.py": "def half(:\n  return (\n\nclass Whole:\n    x = 1\n",
    "prose.py": "It was a dark, and stormy night; the rain fell: in torrents!\n".repeat(8),
    "nested.py": Array.from({ length: 5000 }, (_, n) => `${" ".repeat(n % 200)}if x:\n`).join(""),
    "brackets.py": `x = ${"(".repeat(2000)}${")".repeat(2000)}\n`,
    "crlf.py": "a = 1\r\n\r\nb = '🚀'\r\n",
    "empty.py": "",
    "readme.md": "# hello",
    ".env": "SECRET=1",
  });
  writeFileSync(join(root, "latin.py"), Buffer.from("s = 'd\xe9j\xe0 vu, na\xefve caf\xe9'\n", "latin1"));
  writeFileSync(join(root, "binary.py"), new Uint8Array(1000));
  writeFileSync(join(root, "huge.py"), "");
  truncateSync(join(root, "huge.py"), 100 * 1024 * 1024);
  writeFileSync(join(root, "minified.py"), `x = "${"ab ".repeat(10_000)}"\n`);
  symlinkSync(root, join(root, "loop"));
  execFileSync("mkfifo", [join(root, "pipe.py")]);

  const report = await indexer.index();
  expect([...store.files().keys()].sort()).toEqual([
    "brackets.py",
    "broken.py",
    "crlf.py",
    "empty.py",
    "good.py",
    "nested.py",
    "prose.py",
    "readme.md",
  ]);
  expect(report.skipped).toEqual({
    secret: 1,
    binary: 1,
    "too-large": 1,
    "not-utf8": 1,
    symlink: 1,
    unreadable: 1,
    minified: 1,
  });
  expect(report.problems.map(({ code, path }) => `${code} ${path}`)).toEqual(
    expect.arrayContaining([
      "FILE_SECRET .env",
      "FILE_BINARY binary.py",
      "FILE_TOO_LARGE huge.py",
      "FILE_NOT_UTF8 latin.py",
      "FILE_MINIFIED minified.py",
      "FILE_UNREADABLE pipe.py",
      "LINK_SKIPPED loop",
    ]),
  );
  expect(report.problems.filter(({ code }) => code === "PARSE_FALLBACK").length).toBeGreaterThan(0);
  expect(store.nodeAt("crlf.py", "chunk")).toMatchObject({ start: 0, end: 17, text: "a = 1\r\n\r\nb = '🚀'" });
  expect(await indexer.index()).toMatchObject({ embedded: 0, files: 8, skipped: report.skipped });
});

test("a file deleted between scan and read is counted, and the rest goes on", async () => {
  const { indexer, root, store } = await bench({
    "a.py": functions(1, "a"),
    "b.py": functions(1, "b"),
    "c.py": functions(1, "c"),
  });
  const report = await indexer.index({
    onProgress: ({ filesDone }) => {
      if (filesDone === 0) rmSync(join(root, "b.py"));
    },
  });
  expect(report).toMatchObject({ files: 2, skipped: { vanished: 1 } });
  expect(report.problems).toMatchObject([{ code: "FILE_VANISHED", path: "b.py" }]);
  expect([...store.files().keys()]).toEqual(["a.py", "c.py"]);
});

test("what is known of a file stays while it cannot be read, and goes when it becomes unwanted", async () => {
  const { indexer, root, store, write } = await bench({ "a.py": functions(1, "a"), "b.py": functions(1, "b") });
  await indexer.index();
  rmSync(join(root, "a.py"));
  execFileSync("mkfifo", [join(root, "a.py")]);
  expect(await indexer.index()).toMatchObject({ files: 2, skipped: { unreadable: 1 } });
  expect(store.nodeAt("a.py", "chunk")).toBeDefined();
  write({ "b.py": `key = "AKIA${"Z7QRSTUVWXYZ2345"}"\n` });
  expect(await indexer.index()).toMatchObject({ files: 1, skipped: { unreadable: 1, secret: 1 } });
  expect(store.nodeAt("b.py", "chunk")).toBeUndefined();
});

test("a workspace that is gone is a named error, and its index stays", async () => {
  const { indexer, root, store } = await bench({ "a.py": functions(1) });
  await indexer.index();
  rmSync(root, { recursive: true });
  await expect(indexer.index()).rejects.toMatchObject({ code: "WORKSPACE_MISSING" });
  expect(store.stats().files).toBe(1);
});
