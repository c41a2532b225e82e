// The store's own look at itself: the same index gives the same digest, and damage is named.
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, expect, test } from "vitest";
import { type Bench, functions, openBench, openStoreIn, TREE } from "./indexing.ts";

const open: Bench[] = [];

afterEach(() => {
  for (const bench of open.splice(0)) bench.close();
});

async function indexed(files: Record<string, string>): Promise<Bench> {
  const bench = await openBench(files);
  open.push(bench);
  await bench.indexer.index();
  return bench;
}

test("a sound store has no faults; its digest tells its text, not the way it was made", async () => {
  const bench = await indexed(TREE);
  const first = bench.store.check();
  expect(first).toMatchObject({ faults: [], rows: 5 + 27 });
  await bench.indexer.update({ changed: [{ path: "main.py", text: functions(3, "other") }], removed: ["pkg/deep"] });
  const changed = bench.store.check();
  expect(changed.faults).toEqual([]);
  expect(changed.digest).not.toBe(first.digest);
  // Stamps of text that came from an editor differ from the disk's.
  await bench.indexer.refresh(["main.py", "pkg"]);
  expect(bench.store.check()).toEqual(first);
});

test.each([
  ["DELETE FROM vectors WHERE id = (SELECT min(id) FROM vectors)", "1 nodes without a vector"],
  ["DELETE FROM nodes WHERE level = 3", "1 vectors without a node"],
  ["DELETE FROM sketches WHERE id = (SELECT min(id) FROM sketches)", "1 nodes without a sketch"],
  ["DELETE FROM words WHERE rowid = (SELECT min(id) FROM nodes WHERE level = 0)", "1 chunks without words"],
  ["DELETE FROM files WHERE path = 'pkg/deep/two.py'", "2 chunks of no file"],
])("%s is seen", async (damage, fault) => {
  const bench = await indexed(TREE);
  const sql = new Database(join(bench.storeDir, "index.db"));
  sql.exec(damage);
  sql.close();
  const { store } = openStoreIn(bench.storeDir);
  expect(store.check().faults).toContain(fault);
  store.close();
});
