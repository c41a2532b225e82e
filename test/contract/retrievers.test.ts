// Every file under retrieval/retrievers/ keeps the same promises, over a real store and the real models.
import { cpSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Prompt } from "../../engine/domain.ts";
import { fingerprintOf } from "../../engine/engine.ts";
import { pseudoLengthOf } from "../../engine/pack/pack.ts";
import { RecentFiles } from "../../engine/retrieval/recentFiles.ts";
import { createRetrieve, loadRetrievers, type Retriever } from "../../engine/retrieval/retrieve.ts";
import { openStore, type Store } from "../../engine/store/store.ts";
import { type EngineFixture, openEngineFixture } from "./engineFixture.ts";

const FOLDER = fileURLToPath(new URL("../../engine/retrieval/retrievers", import.meta.url));
const NAMES = readdirSync(FOLDER).map((file) => file.replace(/\.ts$/, ""));

let fixture: EngineFixture;
let store: Store;
beforeAll(async () => {
  fixture = await openEngineFixture();
  const { manifest } = fixture.engine.pack;
  store = openStore({
    dir: fixture.files.storageDir,
    fingerprint: fingerprintOf(fixture.engine.pack),
    vectorDim: manifest.encoder.vectorDim,
    pseudoLength: pseudoLengthOf(manifest),
  }).store;
});
afterAll(async () => {
  store?.close();
  await fixture?.close();
});

const PROMPT: Prompt = {
  path: "shop/returns.py",
  prefix: "",
  suffix: "",
  query:
    "class Return:\n    def __init__(self, inventory: Inventory) -> None:\n        self.inventory = inventory\n        self.total = \n",
};

const WANTED = { k: 3, levels: ["chunk", "file", "directory", "repository"] } as const;

async function load(names: readonly string[]): Promise<ReadonlyMap<string, Retriever>> {
  const recentFiles = new RecentFiles();
  for (const path of ["shop/money.py", "shop/orders.py", PROMPT.path]) recentFiles.touch(path);
  return (await loadRetrievers(names, { store, models: fixture.engine.models, recentFiles })).retrievers;
}

describe.each(NAMES)("%s", (name) => {
  it("proposes existing nodes, best first, at most k", async () => {
    const retriever = (await load([name])).get(name);
    const found = (await retriever?.retrieve(PROMPT, WANTED)) ?? [];
    expect(found.length).toBeGreaterThan(0);
    expect(found.length).toBeLessThanOrEqual(3);
    expect(store.nodes(found.map(({ id }) => id))).toHaveLength(found.length);
    expect(found.map(({ score }) => score)).toEqual(found.map(({ score }) => score).toSorted((a, b) => b - a));
  });

  it("has nothing to say about nothing", async () => {
    const retriever = (await load([name])).get(name);
    expect(await retriever?.retrieve({ ...PROMPT, query: " \n " }, WANTED)).toEqual([]);
  });

  it("takes any text as a query", async () => {
    const retriever = (await load([name])).get(name);
    for (const query of ['" OR * NEAR(', "'; DROP TABLE nodes; --", "😀 日本 𝒳", "x".repeat(20_000), "a AND NOT b^2"]) {
      expect(await retriever?.retrieve({ ...PROMPT, query }, WANTED)).toBeInstanceOf(Array);
    }
  });
});

describe("retrieve", () => {
  it("merges ranks, keeps levels apart and never proposes the current file", async () => {
    const retrieve = createRetrieve(store, await load(NAMES));
    const chunks = await retrieve(PROMPT, { limit: 10, levels: ["chunk"] });
    expect(chunks.problems).toEqual([]);
    expect(chunks.candidates.length).toBeGreaterThan(0);
    expect(chunks.candidates.every(({ node }) => node.level === "chunk" && node.path !== PROMPT.path)).toBe(true);
    expect(chunks.candidates[0]?.node.path).toBe("shop/orders.py");
    expect(chunks.candidates[0]?.retriever.split("+").length).toBeGreaterThan(1);
    const all = await retrieve(PROMPT, { limit: 30, levels: ["chunk", "file", "directory", "repository"] });
    expect(new Set(all.candidates.map(({ node }) => node.level)).size).toBeGreaterThan(1);
  });

  it("loses only the candidates of a retriever that fails", async () => {
    const retrievers = new Map<string, Retriever>([
      ...(await load(["jaccard"])),
      ["broken", { retrieve: () => Promise.reject(new Error("out of order")) }],
    ]);
    const { candidates, problems } = await createRetrieve(store, retrievers)(PROMPT, { limit: 5, levels: ["chunk"] });
    expect(candidates.length).toBeGreaterThan(0);
    expect(problems).toEqual([{ code: "RETRIEVER_FAILED", detail: "broken: out of order" }]);
  });

  it("retrieves nothing, and asks no model, where the best overlap is below the least wanted", async () => {
    const asked: string[] = [];
    const asking: Retriever = {
      asksModels: true,
      retrieve: async () => {
        asked.push("model");
        return [];
      },
    };
    const retrievers = new Map([["asking", asking], ...(await load(["jaccard", "bm25"]))]);
    const wanted = { limit: 5, levels: ["chunk"] } as const;
    const { overlap = 0, candidates } = await createRetrieve(store, retrievers)(PROMPT, wanted);
    expect(overlap).toBeGreaterThan(0);
    expect(overlap).toBeLessThan(1);
    expect(asked).toHaveLength(1);
    const none = await createRetrieve(store, retrievers, { minOverlap: overlap + 0.01 })(PROMPT, wanted);
    expect(none).toEqual({ candidates: [], problems: [], overlap });
    expect(asked).toHaveLength(1);
    const same = await createRetrieve(store, retrievers, { minOverlap: overlap })(PROMPT, wanted);
    expect(same.candidates.map(({ node }) => node.id)).toEqual(candidates.map(({ node }) => node.id));
  });

  it("goes by no overlap where what measures it failed", async () => {
    const broken: Retriever = { measuresOverlap: true, retrieve: () => Promise.reject(new Error("out of order")) };
    const retrievers = new Map([["broken", broken], ...(await load(["bm25"]))]);
    const retrieve = createRetrieve(store, retrievers, { minOverlap: 1 });
    const { candidates } = await retrieve(PROMPT, { limit: 5, levels: ["chunk"] });
    expect(candidates.length).toBeGreaterThan(0);
  });

  it("names a retriever that does not exist, and loads nothing from elsewhere", async () => {
    const { retrievers, problems } = await loadRetrievers(["jaccard", "psychic", "../retrieve"], {
      store,
      models: fixture.engine.models,
    });
    expect([...retrievers.keys()]).toEqual(["jaccard"]);
    expect(problems).toHaveLength(2);
  });

  it("ends with the signal's reason when aborted", async () => {
    const aborter = new AbortController();
    aborter.abort(new Error("typed on"));
    const retrieve = createRetrieve(store, await load(["dense"]));
    await expect(retrieve(PROMPT, { limit: 5, levels: ["chunk"] }, aborter.signal)).rejects.toThrow("typed on");
  });

  it("proposes one of several copies, and none of what the prompt holds already", async () => {
    const { dir } = fixture.files;
    for (const copy of ["first", "second"])
      cpSync(join(dir, "shop/orders.py"), join(dir, copy, "orders.py"), { recursive: true });
    await fixture.workspace.index();
    const retrieve = createRetrieve(store, await load(["jaccard", "bm25"]));
    const options = { limit: 10, levels: ["chunk"] } as const;
    const texts = (await retrieve(PROMPT, options)).candidates.map(({ node }) => node.text.trim());
    expect(new Set(texts).size).toBe(texts.length);
    const [best = ""] = texts;
    const rest = await retrieve({ ...PROMPT, prefix: `${best}\n\n` }, options);
    expect(rest.candidates.map(({ node }) => node.text.trim())).toEqual(texts.slice(1));
  });
});
