// Which stores are removed: those nobody opened for long, and nothing else.
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { storeDirOf } from "../../engine/installation.ts";
import { KEPT_DAYS, markUsed, removeStaleStores } from "../../engine/staleStores.ts";

const DAY_MS = 86_400_000;
let parent: string;

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "precis-stores-"));
});
afterEach(() => rmSync(parent, { recursive: true, force: true }));

function store(root: string): string {
  const dir = storeDirOf(parent, root);
  mkdirSync(dir);
  writeFileSync(join(dir, "index.db"), "");
  return dir;
}

it("removes what was not opened for long, and nothing else", async () => {
  const [old, recent] = [store("/old"), store("/recent")];
  const foreign = join(parent, "behaviour");
  mkdirSync(foreign);
  const now = Date.now();
  await markUsed(old, new Date(now - (KEPT_DAYS + 1) * DAY_MS));
  await markUsed(recent, new Date(now - (KEPT_DAYS - 1) * DAY_MS));
  await markUsed(foreign, new Date(now - 1000 * DAY_MS));
  expect(await removeStaleStores(parent, now)).toEqual([old]);
  expect([old, recent, foreign].map((dir) => existsSync(dir))).toEqual([false, true, true]);
});

it("has nothing to do where there are no stores yet", async () => {
  expect(await removeStaleStores(join(parent, "none"))).toEqual([]);
  await expect(markUsed(join(parent, "none"))).resolves.toBeUndefined();
});
