import { expect, it } from "vitest";
import { startInferThread } from "../../engine/infer/inferThread.ts";
import { Schedule } from "../../engine/schedule.ts";

const workerUrl = new URL("../fixtures/dyingWorker.mjs", import.meta.url);
const data = { packDir: "", providers: [], threads: 1 };

it("fails the requests of a worker that dies, and starts another for the next", async () => {
  const { models } = await startInferThread({ workerUrl, data, schedule: new Schedule() });
  const lost = models.encode(["die"], "indexing");
  const waiting = models.encode(["live"], "indexing");
  await expect(lost).rejects.toMatchObject({ code: "WORKER_FAILED", retry: true });
  expect(await waiting).toHaveLength(1);
  expect(await models.encode(["live"], "completion")).toHaveLength(1);
  await models.close();
});

it("rejects with the signal's reason when aborted before, while and after waiting", async () => {
  const { models } = await startInferThread({ workerUrl, data, schedule: new Schedule() });
  const aborter = new AbortController();
  const first = models.encode(["live"], "indexing");
  const waiting = models.encode(["live"], "indexing", aborter.signal);
  aborter.abort(new Error("typed on"));
  await expect(waiting).rejects.toThrow("typed on");
  expect(await first).toHaveLength(1);
  await expect(models.encode(["live"], "indexing", aborter.signal)).rejects.toThrow("typed on");
  await models.close();
  await models.close();
});
