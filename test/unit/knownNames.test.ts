// What the store says of names to the symbol check.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ChunkWrite } from "../../engine/store/records.ts";
import { openStore, type Store } from "../../engine/store/store.ts";

let dir: string;
let store: Store;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "precis-names-"));
  store = openStore({ dir, fingerprint: { chunker: 1, pack: "test@1" }, vectorDim: 4, pseudoLength: 1 }).store;
});

afterEach(() => {
  store.close();
  rmSync(dir, { recursive: true, force: true });
});

function put(path: string, text: string): void {
  const features = {
    kind: "text",
    qualifiedName: "",
    signature: "",
    defines: [],
    references: [],
    imports: [],
    linearised: "",
  };
  const write: ChunkWrite = {
    isFresh: true,
    chunk: { start: 0, end: text.length, startLine: 1, endLine: 1, text, tokens: 5, features },
    hash: `hash of ${text}`,
    vector: new Float32Array([1, 0, 0, 0]),
    pseudoTokens: new Float32Array(1),
  };
  store.replaceFile({ path, hash: path, size: 1, mtimeMs: 1 }, [write]);
}

test("names of other files are known as they are written, and their texts are found", () => {
  put("a.py", "def HTTPServer_run(port): pass");
  put("b.py", "HTTPServer_run(1)");
  expect(store.hasName("HTTPServer_run", "c.py")).toBe(true);
  expect(store.hasName("httpserver_run", "c.py")).toBe(false);
  expect(store.hasName("run", "c.py")).toBe(false);
  expect(store.hasName("port", "a.py")).toBe(false);
  const phrase = "def HTTPServer_run(";
  expect(store.textsWith("HTTPServer_run", phrase, "b.py", 5)).toEqual(["def HTTPServer_run(port): pass"]);
  expect(store.textsWith("HTTPServer_run", phrase, "a.py", 5)).toEqual([]);
  store.removeFile("a.py");
  expect(store.hasName("port", "c.py")).toBe(false);
});

test("a name is known though another language reserves the word, and overlap takes no notice of it", () => {
  put("a.py", "include(router)");
  put("b.java", "public static void include(String router)");
  expect(store.hasName("include", "c.py")).toBe(true);
  expect(store.searchIdentifiers(["router"], 2)).toMatchObject([{ score: 1 }, { score: 0.5 }]);
});

test("any text may be asked for", () => {
  put("a.py", "something");
  for (const name of ['"', "NOT", "a b", "", "naïve", "*"]) expect(store.hasName(name, "b.py")).toBe(false);
});
