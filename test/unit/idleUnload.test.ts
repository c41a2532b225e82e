// The models leave memory when nothing is asked of them and come back with the next request. The real worker and pack.
import { expect, it } from "vitest";
import { startInferThread } from "../../engine/infer/inferThread.ts";
import { installationOf } from "../../engine/installation.ts";
import { findPack } from "../../engine/pack/pack.ts";
import { Schedule } from "../../engine/schedule.ts";

const { packsDir, workers } = installationOf(new URL("../../engine/cli.ts", import.meta.url).href);

async function start(unloadAfterMs: number, onChange: () => void = () => {}) {
  const packDir = await findPack("auto", packsDir);
  const data = { packDir, providers: ["cpu"], threads: 1 };
  return startInferThread({ workerUrl: workers.inference, data, schedule: new Schedule(), unloadAfterMs, onChange });
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

const TOKENS = { pseudoTokens: new Float32Array(0), tokens: Int32Array.of(5, 6, 7, 8) };
const OPTIONS = { maxNewTokens: 4, stopTokens: [], maxLines: Number.POSITIVE_INFINITY };

it("unloads after a pause and answers the next request as before", async () => {
  const { models } = await start(50);
  const before = await models.generate(TOKENS, OPTIONS);
  await until(() => !models.isLoaded);
  const after = await models.generate(TOKENS, OPTIONS);
  expect(after.tokens).toEqual(before.tokens);
  expect(after.reusedTokens).toBe(0);
  expect(models.isLoaded).toBe(true);
  await models.close();
});

it("loses no request that comes while it unloads, and unloads between two batches of indexing", async () => {
  const { models } = await start(0);
  const texts = ["def area(w, h):\n    return w * h\n".repeat(20)];
  const [expected] = await models.encode(texts, "indexing");
  const work: Promise<unknown>[] = [];
  for (let n = 0; n < 8; n += 1) {
    work.push(models.encode(texts, "indexing").then(([vector]) => expect(vector).toEqual(expected)));
    if (n % 3 === 0) work.push(models.unload());
    work.push(models.generate(TOKENS, OPTIONS).then(({ tokens }) => expect(tokens).toHaveLength(4)));
  }
  await Promise.all(work);
  await models.close();
});

it("is never unloaded when the wait is 0, and closes while unloaded", async () => {
  const { models } = await start(0);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(models.isLoaded).toBe(true);
  await models.unload();
  expect(models.isLoaded).toBe(false);
  await models.close();
});

it("takes up another wait while it runs, and tells of every change", async () => {
  const states: boolean[] = [];
  let isLoaded = () => true;
  const { models } = await start(0, () => states.push(isLoaded()));
  isLoaded = () => models.isLoaded;
  models.unloadAfter(50);
  await until(() => !models.isLoaded);
  models.unloadAfter(0);
  await models.generate(TOKENS, OPTIONS);
  expect(states).toEqual([true, false, true]);
  await models.close();
});
