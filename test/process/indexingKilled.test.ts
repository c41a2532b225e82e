import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createIndexer } from "../../engine/indexing/indexer.ts";
import type { Store } from "../../engine/store/store.ts";
import { BRANCHING, contents, countingModels, directChunker, openStoreIn } from "../unit/indexing.ts";
import { countOf, FILES } from "./versions.ts";

const SCRIPT = new URL("./indexForever.ts", import.meta.url).pathname;

let dir: string;
let child: ChildProcess | undefined;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "precis-killed-"));
  mkdirSync(join(dir, "root"));
});

afterEach(() => {
  child?.kill("SIGKILL");
  rmSync(dir, { recursive: true, force: true });
});

/** Lets the process index at least one version, and a while more; then ends it without warning. */
async function indexAndKill(whileMs: number): Promise<void> {
  const indexing = spawn(process.execPath, [SCRIPT, join(dir, "root"), join(dir, "store")], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  child = indexing;
  let said = "";
  indexing.stderr.on("data", (text: Buffer) => {
    said += text.toString();
  });
  const exited = once(indexing, "exit");
  await Promise.race([once(createInterface(indexing.stdout), "line"), exited.then(() => expect.fail(said))]);
  await pause(whileMs);
  indexing.kill("SIGKILL");
  await exited;
}

/** Each file's chunks, hash and own node belong to one version, whichever. */
function expectOldOrNew(store: Store): void {
  const versionsOf = new Map<string, number[]>();
  for (const { id, path } of store.chunkIdentifiers()) {
    const version = Number(/version_(\d+)/.exec(store.nodes([id])[0]?.text ?? "")?.[1]);
    versionsOf.set(path, [...(versionsOf.get(path) ?? []), version]);
    expect(store.vectorOf(id)).toBeDefined();
    expect(store.pseudoTokens([id]).size).toBe(1);
  }
  expect([...versionsOf.keys()].sort()).toEqual([...FILES].sort());
  expect([...store.files().keys()].sort()).toEqual([...FILES].sort());
  for (const [path, versions] of versionsOf) {
    expect(new Set(versions).size, path).toBe(1);
    expect(versions.length, path).toBe(countOf(versions[0] ?? 0));
    expect(store.nodeAt(path, "file"), path).toBeDefined();
  }
}

test("a process killed while it indexes leaves a store that opens, with every file old or new", async () => {
  for (let round = 0; round < 10; round++) {
    await indexAndKill(round * 17);
    const { store, problems } = openStoreIn(join(dir, "store"));
    expect(problems).toEqual([]);
    expect(store.readOnly).toBe(false);
    expectOldOrNew(store);
    store.close();
  }
  // The next pass ends where a pass over nothing but the disk ends.
  const chunker = await directChunker();
  const settings = { "index.exclude": [], "index.maxFileKiB": 64, "index.maxDiskMiB": 200, "index.otherText": true };
  const indexed = ["store", "fresh"].map(async (name) => {
    const { store } = openStoreIn(join(dir, name));
    await createIndexer({
      root: join(dir, "root"),
      store,
      chunker,
      models: countingModels(),
      branching: BRANCHING,
      settings,
    }).index();
    const held = contents(store);
    store.close();
    return held;
  });
  const [survived, fresh] = await Promise.all(indexed);
  expect(survived).toEqual(fresh);
});
