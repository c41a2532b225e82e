import { expect, it } from "vitest";
import { type Priority, Schedule } from "../../engine/schedule.ts";

/** A job that ends when told, noting that it ran. */
function jobs(schedule: Schedule) {
  const ran: string[] = [];
  const ends = new Map<string, () => void>();
  const add = (name: string, priority: Priority, signal?: AbortSignal) =>
    schedule.run(
      priority,
      () => {
        ran.push(name);
        return new Promise<void>((resolve) => ends.set(name, resolve));
      },
      signal,
    );
  return { ran, add, end: (name: string) => ends.get(name)?.() };
}

it("runs one job at a time, completions before indexing", async () => {
  const { ran, add, end } = jobs(new Schedule());
  const all = [add("index 1", "indexing"), add("index 2", "indexing"), add("complete", "completion")];
  await Promise.resolve();
  expect(ran).toEqual(["index 1"]);
  end("index 1");
  await all[0];
  await new Promise(setImmediate);
  expect(ran).toEqual(["index 1", "complete"]);
  end("complete");
  await all[2];
  await new Promise(setImmediate);
  expect(ran).toEqual(["index 1", "complete", "index 2"]);
  end("index 2");
  await Promise.all(all);
});

it("lets a waiting job be aborted without losing its place in the queue to nobody", async () => {
  const { ran, add, end } = jobs(new Schedule());
  const aborter = new AbortController();
  const first = add("first", "indexing");
  const aborted = add("aborted", "completion", aborter.signal);
  const last = add("last", "indexing");
  aborter.abort(new Error("typed on"));
  await expect(aborted).rejects.toThrow("typed on");
  end("first");
  await first;
  await new Promise(setImmediate);
  end("last");
  await last;
  expect(ran).toEqual(["first", "last"]);
});

it("goes on after a job that failed", async () => {
  const schedule = new Schedule();
  await expect(schedule.run("indexing", () => Promise.reject(new Error("broken")))).rejects.toThrow("broken");
  expect(await schedule.run("indexing", async () => 7)).toBe(7);
});
