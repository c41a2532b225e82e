import { expect, it } from "vitest";
import type { Problem } from "../../engine/errors.ts";
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

it("goes on with the CPU, and the same request, when a device fails", async () => {
  const problems: Problem[] = [];
  const { models } = await startInferThread({
    workerUrl: new URL("../fixtures/lostDeviceWorker.mjs", import.meta.url),
    data: { ...data, providers: ["webgpu", "cpu"] },
    schedule: new Schedule(),
    onProblem: (problem) => problems.push(problem),
  });
  expect(models.provider).toBe("webgpu");
  expect(await Promise.all([models.encode(["a"], "completion"), models.encode(["b", "c"], "indexing")])).toMatchObject([
    { length: 1 },
    { length: 2 },
  ]);
  expect(models.provider).toBe("cpu");
  expect(problems).toMatchObject([
    { code: "PROVIDER_FELL_BACK", detail: expect.stringMatching(/webgpu.*device is lost/) },
  ]);
  await models.close();
});
