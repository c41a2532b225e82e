import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Chunk } from "../../engine/domain.ts";
import { EngineError } from "../../engine/errors.ts";
import type { ChunkWrite, ParentWrite } from "../../engine/store/records.ts";
import { openStore, type Store, type StoreOptions } from "../../engine/store/store.ts";

const DIM = 4;
const PSEUDO = 3;

let dir: string;
let open: Store[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "precis-store-"));
  open = [];
});

afterEach(() => {
  for (const store of open) store.close();
  rmSync(dir, { recursive: true, force: true });
});

function openHere(changes: Partial<StoreOptions> = {}) {
  const fingerprint = { chunker: 1, pack: "test@1" };
  const opened = openStore({ dir, fingerprint, vectorDim: DIM, pseudoLength: PSEUDO, ...changes });
  open.push(opened.store);
  return opened;
}

function unit(...numbers: number[]): Float32Array {
  const length = Math.hypot(...numbers);
  return new Float32Array(numbers.map((number) => number / length));
}

function chunkOf(text: string, start = 0, startLine = 1): Chunk {
  const features = {
    kind: "function",
    qualifiedName: "f",
    signature: "def f()",
    defines: ["f"],
    references: ["g"],
    imports: [],
    linearised: "",
  };
  return { start, end: start + text.length, startLine, endLine: startLine, text, tokens: 5, features };
}

function write(text: string, vector: Float32Array, start = 0): ChunkWrite {
  return {
    isFresh: false,
    chunk: chunkOf(text, start),
    hash: `hash of ${text}`,
    vector,
    pseudoTokens: new Float32Array([1, 2, text.length]),
  };
}

function parent(level: ParentWrite["level"], path: string, vector: Float32Array): ParentWrite {
  const end = level === "file" ? 9 : 0;
  return { level, path, end, endLine: level === "file" ? 1 : 0, vector, pseudoTokens: new Float32Array(PSEUDO) };
}

function stamp(path: string) {
  return { path, hash: `file ${path}`, size: 10, mtimeMs: 1234.5 };
}

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    if (error instanceof EngineError) return error.code;
    throw error;
  }
  return "nothing thrown";
}

describe("what is written is read", () => {
  test("files, nodes, pseudo-tokens, vectors and statistics", () => {
    const { store, problems } = openHere();
    expect(problems).toEqual([]);
    store.replaceFile(
      stamp("src/a.py"),
      [write("def f(): pass", unit(1, 0, 0, 0))],
      parent("file", "src/a.py", unit(1, 1, 0, 0)),
    );
    expect(store.files()).toEqual(new Map([["src/a.py", { hash: "file src/a.py", size: 10, mtimeMs: 1234.5 }]]));
    const chunk = store.nodeAt("src/a.py", "chunk");
    expect(chunk).toMatchObject({
      level: "chunk",
      path: "src/a.py",
      text: "def f(): pass",
      features: { qualifiedName: "f" },
    });
    const id = chunk?.id ?? 0;
    expect(store.pseudoTokens([id])).toEqual(new Map([[id, new Float32Array([1, 2, 13])]]));
    expect(store.vectorOf(id)).toEqual(unit(1, 0, 0, 0));
    expect(store.nodeAt("src/a.py", "file")).toMatchObject({ start: 0, end: 9, startLine: 1, text: "" });
    expect(store.stats()).toMatchObject({ files: 1, chunks: 1, nodes: 2, levels: { chunk: 1, file: 1, directory: 0 } });
    expect(store.stats().dbBytes).toBeGreaterThan(0);
  });

  test("survives closing and opening", () => {
    const first = openHere().store;
    first.replaceFile(stamp("a.py"), [write("x = 1", unit(1, 0, 0, 0))]);
    first.close();
    const { store, problems } = openHere();
    expect(problems).toEqual([]);
    expect(store.nodeAt("a.py", "chunk")?.text).toBe("x = 1");
  });

  test("nodes come in the order asked for, without those that have gone", () => {
    const { store } = openHere();
    store.replaceFile(stamp("a.py"), [write("x = 1", unit(1, 0, 0, 0)), write("y = 2", unit(0, 1, 0, 0), 6)]);
    const ids = [...store.chunkIdentifiers()].map(({ id }) => id);
    expect(store.nodes([...ids.toReversed(), 999]).map((node) => node.text)).toEqual(["y = 2", "x = 1"]);
  });
});

describe("replacing a file", () => {
  test("keeps the nodes of chunks that stayed, with their new offsets", () => {
    const { store } = openHere();
    store.replaceFile(stamp("a.py"), [write("stays", unit(1, 0, 0, 0)), write("goes", unit(0, 1, 0, 0), 10)]);
    const before = store.nodeAt("a.py", "chunk")?.id;
    store.replaceFile(stamp("a.py"), [write("comes", unit(0, 0, 1, 0)), write("stays", unit(1, 0, 0, 0), 20)]);
    const texts = [...store.chunkIdentifiers()].map(({ id }) => store.nodes([id])[0]);
    expect(texts.map((node) => [node?.text, node?.start])).toEqual([
      ["stays", 20],
      ["comes", 0],
    ]);
    expect(texts[0]?.id).toBe(before);
    expect(store.searchText(["goes"], 5)).toEqual([]);
    expect(store.searchVectors(unit(0, 1, 0, 0), 5).every(({ score }) => score < 0.5)).toBe(true);
  });

  test("gives chunks that stay their fresh vectors", () => {
    const { store } = openHere();
    store.replaceFile(stamp("a.py"), [write("stays", unit(1, 0, 0, 0))]);
    const before = store.nodeAt("a.py", "chunk")?.id ?? 0;
    const pseudoTokens = new Float32Array([7, 8, 9]);
    store.replaceFile(stamp("a.py"), [{ ...write("stays", unit(0, 0, 0, 1)), pseudoTokens, isFresh: true }]);
    expect(store.nodeAt("a.py", "chunk")?.id).toBe(before);
    expect(store.vectorOf(before)).toEqual(unit(0, 0, 0, 1));
    expect(store.pseudoTokens([before]).get(before)).toEqual(pseudoTokens);
    expect(store.searchVectors(unit(0, 0, 0, 1), 1)).toEqual([{ id: before, score: 1 }]);
  });

  test("two chunks of one text are two nodes", () => {
    const { store } = openHere();
    store.replaceFile(stamp("a.py"), [write("same", unit(1, 0, 0, 0)), write("same", unit(1, 0, 0, 0), 10)]);
    expect(store.stats().chunks).toBe(2);
    store.replaceFile(stamp("a.py"), [write("same", unit(1, 0, 0, 0))]);
    expect(store.stats().chunks).toBe(1);
  });

  test("a wrong vector changes nothing", () => {
    const { store } = openHere();
    store.replaceFile(stamp("a.py"), [write("old", unit(1, 0, 0, 0))]);
    expect(() => store.replaceFile(stamp("a.py"), [write("new", new Float32Array(DIM + 1))])).toThrow(RangeError);
    expect([...store.chunkIdentifiers()].map(({ identifiers }) => identifiers)).toEqual(["old"]);
    expect(store.searchText(["new"], 5)).toEqual([]);
  });

  test("makes every directory above it stale until its parents are written", () => {
    const { store } = openHere();
    store.replaceFile(stamp("a/b/c.py"), [write("x", unit(1, 0, 0, 0))], parent("file", "a/b/c.py", unit(1, 0, 0, 0)));
    expect(store.staleFolders()).toEqual(["a/b", "a", ""]);
    expect(store.children("a/b")).toEqual([{ path: "a/b/c.py", vector: unit(1, 0, 0, 0) }]);
    store.replaceParents([parent("directory", "a/b", unit(0, 1, 0, 0)), parent("directory", "a", unit(0, 0, 1, 0))]);
    expect(store.staleFolders()).toEqual([""]);
    expect(store.children("a")).toEqual([{ path: "a/b", vector: unit(0, 1, 0, 0) }]);
    store.replaceParents([parent("repository", "", unit(0, 0, 0, 1))]);
    expect(store.stats().levels).toEqual({ chunk: 1, file: 1, directory: 2, repository: 1 });
    store.removeFile("a/b/c.py");
    expect(store.staleFolders()).toEqual(["a/b", "a", ""]);
    store.replaceParents([], ["a/b", "a", ""]);
    expect(store.stats()).toMatchObject({ files: 0, nodes: 0 });
    expect(store.staleFolders()).toEqual([]);
  });
});

describe("vectors of chunks that left", () => {
  test("come back under another name until they are tidied away", () => {
    const { store } = openHere();
    const moved = write("moved", unit(1, 2, 3, 4));
    store.replaceFile(stamp("a.py"), [moved]);
    store.removeFile("a.py");
    expect(store.knownChunks([moved.hash, "unknown"])).toEqual(
      new Map([[moved.hash, { vector: moved.vector, pseudoTokens: moved.pseudoTokens }]]),
    );
    store.tidy(1);
    expect(store.knownChunks([moved.hash]).size).toBe(1);
    store.tidy(0);
    expect(store.knownChunks([moved.hash]).size).toBe(0);
  });

  test("tidying after many changes gives space back and loses nothing", () => {
    const { store } = openHere({ vectorDim: 256 });
    const wide = (n: number) => Float32Array.from({ length: 256 }, (_, i) => (i === n % 256 ? 1 : 0));
    store.replaceFile(stamp("keep.py"), [write("keep", wide(3))]);
    // Every round leaves one vector behind, among pages that empty.
    const churn = (name: string) => {
      for (let round = 0; round < 8; round++) {
        const many = Array.from({ length: 1000 }, (_, n) => write(`${name}${round}x${n}`, wide(4 + (n % 200))));
        store.replaceFile(stamp("churn.py"), many);
        store.replaceFile(stamp(`${name}${round}.py`), [write(`${name}${round}`, wide(2))]);
      }
      store.removeFile("churn.py");
      store.tidy(0);
      return store.stats().dbBytes;
    };
    const bytes = churn("a");
    expect(churn("b")).toBeLessThanOrEqual(bytes + 65_536);
    expect(store.searchVectors(wide(3), 1)).toEqual([{ id: store.nodeAt("keep.py", "chunk")?.id, score: 1 }]);
    expect(store.stats().chunks).toBe(17);
    // 17 vectors of 1 KiB; 8 MB of them came and went.
    expect(bytes).toBeLessThan(400_000);
  });
});

describe("search", () => {
  test("vectors by cosine over all levels, best first", () => {
    const { store } = openHere();
    store.replaceFile(
      stamp("a.py"),
      [write("far", unit(0, 1, 0, 0)), write("near", unit(1, 0.1, 0, 0), 9)],
      parent("file", "a.py", unit(1, 1, 0, 0)),
    );
    const found = store.searchVectors(unit(1, 0, 0, 0), 2);
    expect(store.nodes(found.map(({ id }) => id)).map((node) => [node.level, node.text])).toEqual([
      ["chunk", "near"],
      ["file", ""],
    ]);
    expect(found[0]?.score).toBeCloseTo(1 / Math.hypot(1, 0.1), 5);
    expect(found[1]?.score).toBeCloseTo(Math.SQRT1_2, 5);
  });

  test("words by identifier and by its parts, rare ones first", () => {
    const { store } = openHere();
    const texts = ["parse_http_header(request)", "HTTPServer.run(request)", "request.close()", "unrelated = 1"];
    store.replaceFile(
      stamp("a.py"),
      texts.map((text, n) => write(text, unit(1, n, 0, 0), n * 100)),
    );
    const search = (...terms: string[]) =>
      store.nodes(store.searchText(terms, 9).map(({ id }) => id)).map((node) => node.text);
    expect(search("parse_http_header")[0]).toBe(texts[0]);
    expect(new Set(search("http"))).toEqual(new Set(texts.slice(0, 2)));
    expect(search("request", "HTTPServer")[0]).toBe(texts[1]);
    expect(search("nowhere")).toEqual([]);
  });

  test("terms are data, never query syntax", () => {
    const { store } = openHere();
    store.replaceFile(stamp("a.py"), [write("alpha NEAR beta", unit(1, 0, 0, 0))]);
    for (const term of ['"', 'alpha" OR "x', "alpha*", "NEAR(", "words:alpha", "^", "", "-", "\u{1F680}"]) {
      expect(() => store.searchText([term], 5)).not.toThrow();
    }
    expect(store.searchText(['alpha" OR "x'], 5)).toHaveLength(1);
    expect(store.searchText(["AND"], 5)).toEqual([]);
  });
});

describe("two at once", () => {
  test("the second reads along, sees changes, and writes once the first has gone", () => {
    const { store: first } = openHere();
    const { store: second, problems } = openHere();
    expect(first.readOnly).toBe(false);
    expect(second.readOnly).toBe(true);
    expect(problems.map(({ code }) => code)).toEqual(["STORE_READ_ONLY"]);
    const before = second.generation;
    first.replaceFile(stamp("a.py"), [write("x", unit(1, 0, 0, 0))]);
    expect(second.generation).not.toBe(before);
    expect(second.nodeAt("a.py", "chunk")?.text).toBe("x");
    expect(codeOf(() => second.removeFile("a.py"))).toBe("STORE_LOCKED");
    expect(second.tryBecomeWriter()).toBe(false);
    first.close();
    expect(second.tryBecomeWriter()).toBe(true);
    expect(second.readOnly).toBe(false);
    second.removeFile("a.py");
    expect(second.stats().files).toBe(0);
  });

  test("one's own changes show in the generation too", () => {
    const { store } = openHere();
    const before = store.generation;
    expect(store.generation).toBe(before);
    store.replaceFile(stamp("a.py"), []);
    expect(store.generation).not.toBe(before);
  });

  test("the second is refused while another pack's engine writes", () => {
    openHere();
    expect(codeOf(() => openHere({ fingerprint: { chunker: 1, pack: "other@1" } }))).toBe("STORE_LOCKED");
  });

  test("a process that died leaves no lock", () => {
    const script = `
      const { openStore } = await import(${JSON.stringify(new URL("../../engine/store/store.ts", import.meta.url).href)});
      const { store } = openStore({ dir: ${JSON.stringify(dir)}, fingerprint: { chunker: 1, pack: "test@1" }, vectorDim: ${DIM}, pseudoLength: ${PSEUDO} });
      if (store.readOnly) throw new Error("no writer");
      process.kill(process.pid, "SIGKILL");`;
    expect(() => execFileSync(process.execPath, ["--input-type=module", "-e", script], { stdio: "pipe" })).toThrow(
      /SIGKILL|failed/,
    );
    expect(openHere().store.readOnly).toBe(false);
  });
});

describe("damage", () => {
  const codes = ({ problems }: ReturnType<typeof openHere>) => problems.map(({ code }) => code);

  function fill(): void {
    const { store } = openHere();
    const many = Array.from({ length: 300 }, (_, n) =>
      write(`name_${n} = ${"x".repeat(200)}`, unit(1, n, 0, 0), n * 300),
    );
    store.replaceFile(stamp("a.py"), many);
    store.close();
  }

  test.each([
    ["garbage", (file: string) => writeFileSync(file, "this was never a database ".repeat(1000))],
    ["cut in half", (file: string) => truncateSync(file, Math.floor(statSync(file).size / 2))],
    ["cut to nothing useful", (file: string) => truncateSync(file, 50)],
    [
      "overwritten inside",
      (file: string) => {
        const bytes = readFileSync(file);
        bytes.fill(0xa5, 4096, bytes.length - 4096);
        writeFileSync(file, bytes);
      },
    ],
  ])("%s: rebuilt, empty, usable", (_name, damage) => {
    fill();
    damage(join(dir, "index.db"));
    const opened = openHere();
    expect(codes(opened)).toEqual(["STORE_REBUILT"]);
    expect(opened.store.stats().files).toBe(0);
    opened.store.replaceFile(stamp("b.py"), [write("x", unit(1, 0, 0, 0))]);
    expect(opened.store.searchText(["x"], 1)).toHaveLength(1);
  });

  test("a folder in the place of the file is named", () => {
    mkdirSync(join(dir, "index.db"));
    expect(codeOf(() => openHere())).toBe("STORE_UNWRITABLE");
  });

  test("an empty file is a new store", () => {
    writeFileSync(join(dir, "index.db"), "");
    expect(codes(openHere())).toEqual([]);
  });

  test("a garbage lock file is no obstacle", () => {
    writeFileSync(join(dir, "writer.db"), "garbage ".repeat(100));
    expect(openHere().store.readOnly).toBe(false);
  });

  test.each([
    ["pack", { fingerprint: { chunker: 1, pack: "test@2" } }],
    ["chunker", { fingerprint: { chunker: 2, pack: "test@1" } }],
    ["vector length", { vectorDim: 8 }],
    ["pseudo-token length", { pseudoLength: 5 }],
  ])("another %s: rebuilt", (_name, changes) => {
    fill();
    const opened = openHere(changes);
    expect(codes(opened)).toEqual(["STORE_REBUILT"]);
    expect(opened.store.stats().nodes).toBe(0);
  });

  test("a folder that cannot be made is named", () => {
    writeFileSync(join(dir, "file"), "");
    expect(codeOf(() => openHere({ dir: join(dir, "file", "store") }))).toBe("STORE_UNWRITABLE");
  });
});
