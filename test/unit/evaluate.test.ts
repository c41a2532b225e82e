import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { drawTasks, pairedBootstrap, readTasks, reportOf, score, type TaskRow } from "../../engine/evaluate.ts";

describe("score", () => {
  it("compares the first line that says something, stripped", () => {
    expect(score("    return x\n    y", "    return x  ")).toEqual({ prediction: "return x", em: 1, es: 1 });
    expect(score("\n\n  return x", "return x").em).toBe(1);
  });
  it("is 1 − Levenshtein / longest", () => {
    expect(score("abcd", "abxd")).toEqual({ prediction: "abcd", em: 0, es: 0.75 });
    expect(score("", "abcd")).toEqual({ prediction: "", em: 0, es: 0 });
  });
});

describe("pairedBootstrap", () => {
  it("tells a clear difference from none", () => {
    const clear = Array.from({ length: 200 }, (_, n) => (n % 5 === 0 ? 1 : 0));
    const none = Array.from({ length: 200 }, (_, n) => (n % 10 === 0 ? 1 : n % 10 === 5 ? -1 : 0));
    expect(pairedBootstrap(clear, 2000)).toBeLessThan(0.01);
    expect(pairedBootstrap(none, 2000)).toBeGreaterThan(0.5);
    expect(pairedBootstrap([0, 0, 0], 2000)).toBe(1);
  });
});

it("draws the same tasks for the same seed", () => {
  const tasks = Array.from({ length: 100 }, (_, n) => ({
    task_id: `t${n}`,
    repo: "r",
    path: "p.py",
    line: n,
    target: "x",
  }));
  const ids = (seed: number) => drawTasks(tasks, 10, seed).map((task) => task.task_id);
  expect(ids(1)).toEqual(ids(1));
  expect(ids(1)).not.toEqual(ids(2));
  expect(new Set(ids(1)).size).toBe(10);
  expect(drawTasks(tasks, 1000, 0)).toHaveLength(100);
});

it("sums up rows and pairs the modes", () => {
  const row = (mode: "none" | "full", n: number, em: 0 | 1): TaskRow => ({
    task_id: `t${n}`,
    origin: "made",
    mode,
    target: "x",
    prediction: "",
    em,
    es: em,
    promptTokens: mode === "full" ? 30 : 10,
    contextTokens: 0,
    pseudoTokens: 0,
    ttftMs: mode === "full" ? 20 : 10,
    totalMs: 30,
    raw: n < 5 ? "x" : "y",
    ended: "stop-token",
    text: "",
    ...(n === 9 ? { reason: "filtered(syntax)" } : {}),
    parses: { before: n !== 8, truth: true, raw: n > 0, ...(n === 9 ? {} : { offer: true }) },
  });
  const rows = Array.from({ length: 10 }, (_, n) => [
    row("none", n, n < 2 ? 1 : 0),
    row("full", n, n < 7 ? 1 : 0),
  ]).flat();
  const report = reportOf(rows, ["none", "full"]);
  expect(report.modes.none).toMatchObject({ n: 10, em: 20, promptTokensMean: 10 });
  expect(report.modes.full).toMatchObject({ n: 10, em: 70, offered: 90, written: { em: 50, es: 50 } });
  expect(report.modes.full?.parse).toEqual({ offered: 8, kept: 100, written: 9, keptRaw: (100 * 8) / 9 });
  expect(report.paired["full-none"]).toMatchObject({ em: 50, ttftRatio: 2 });
});

it.each([
  ["not json", "not JSON"],
  ['{"task_id": "a"}', "lacks a field"],
])("names the line of a bad tasks file: %s", async (line, words) => {
  const dir = await mkdtemp(join(tmpdir(), "precis-tasks-"));
  try {
    const file = join(dir, "tasks.jsonl");
    await writeFile(file, `${line}\n`);
    await expect(readTasks(file)).rejects.toMatchObject({
      code: "TASKS_INVALID",
      message: expect.stringContaining(words),
    });
    await expect(readTasks(join(dir, "absent.jsonl"))).rejects.toMatchObject({ code: "FILE_MISSING" });
  } finally {
    await rm(dir, { recursive: true });
  }
});
