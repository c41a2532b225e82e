import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { dayOf, openBehaviour } from "../../engine/behaviour.ts";
import { NO_SHIFT } from "../../engine/completion/gate.ts";
import { NO_COUNTS } from "../../engine/protocol.ts";

const READER = "0123456789abcdef";
const SHIFT = { bias: 0.1, weights: { meanLogProb: -0.2 }, answers: 3 };

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "precis-behaviour-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe("what was counted and learned", () => {
  test("is there in the next session", async () => {
    const { behaviour, problems } = await openBehaviour(join(dir, "made", "when needed"));
    expect(problems).toEqual([]);
    behaviour.count("accepted", "python", 12, "2026-11-21");
    behaviour.count("survived", "python", 12, "2026-11-21");
    behaviour.count("part", "python", 4, "2026-11-21");
    behaviour.count("rejected", "go", 0, "2026-11-20");
    behaviour.keepShift(READER, SHIFT);
    expect(await behaviour.save()).toEqual([]);
    const again = (await openBehaviour(join(dir, "made", "when needed"))).behaviour;
    expect(again.counts).toEqual([
      { day: "2026-11-20", language: "go", counts: { ...NO_COUNTS, shown: 1, rejected: 1 } },
      {
        day: "2026-11-21",
        language: "python",
        counts: { ...NO_COUNTS, shown: 2, accepted: 1, acceptedPart: 1, survived: 1, characters: 16 },
      },
    ]);
    expect(again.shiftFor(READER)).toEqual(SHIFT);
    expect(readdirSync(join(dir, "made", "when needed"))).toEqual(["behaviour.json"]);
  });

  test("with one reader says nothing of another", async () => {
    const { behaviour } = await openBehaviour(dir);
    behaviour.keepShift(READER, SHIFT);
    expect(behaviour.shiftFor("f".repeat(16))).toEqual(NO_SHIFT);
  });

  test("is gone when forgotten, from the disk too", async () => {
    const { behaviour } = await openBehaviour(dir);
    behaviour.count("accepted", "python", 1, "2026-11-21");
    behaviour.keepShift(READER, SHIFT);
    await behaviour.save();
    await behaviour.forget();
    expect(readdirSync(dir)).toEqual([]);
    expect(behaviour.counts).toEqual([]);
    expect(behaviour.shiftFor(READER)).toEqual(NO_SHIFT);
    expect(await behaviour.save()).toEqual([]);
    expect(readdirSync(dir)).toEqual([]);
  });

  test("in several windows adds up, and stays forgotten", async () => {
    const one = (await openBehaviour(dir)).behaviour;
    one.count("accepted", "python", 5, "2026-11-21");
    one.keepShift(READER, SHIFT);
    await one.save();
    const other = (await openBehaviour(dir)).behaviour;
    one.count("rejected", "python", 0, "2026-11-21");
    one.keepShift(READER, { bias: 0.25, weights: { meanLogProb: -0.2, lines: 0.5 }, answers: 4 });
    other.count("accepted", "python", 7, "2026-11-21");
    other.keepShift(READER, { bias: 0.05, weights: { meanLogProb: -0.1 }, answers: 5 });
    await one.save();
    await other.save();
    other.keepShift(READER, { bias: 0.06, weights: { meanLogProb: -0.1 }, answers: 6 });
    await other.save();
    const both = (await openBehaviour(dir)).behaviour;
    expect(both.counts.map(({ counts }) => counts)).toEqual([
      { ...NO_COUNTS, shown: 3, accepted: 2, rejected: 1, characters: 12 },
    ]);
    const { bias, weights, answers } = both.shiftFor(READER);
    expect(bias).toBeCloseTo(0.21);
    expect(weights).toEqual({ meanLogProb: expect.closeTo(-0.1), lines: expect.closeTo(0.5) });
    expect(answers).toBe(7);

    await one.forget();
    other.count("typed", "python", 0, "2026-11-21");
    await other.save();
    const { behaviour } = await openBehaviour(dir);
    expect(behaviour.counts.map(({ counts }) => counts)).toEqual([{ ...NO_COUNTS, shown: 1, typed: 1 }]);
    expect(behaviour.shiftFor(READER)).toEqual(NO_SHIFT);
  });

  test("of more than 400 days ago is dropped", async () => {
    const { behaviour } = await openBehaviour(dir);
    for (let n = 0; n < 450; n += 1) {
      behaviour.count("rejected", "python", 0, dayOf(new Date(2025, 0, 1 + n)));
    }
    await behaviour.save();
    const days = (await openBehaviour(dir)).behaviour.counts.map(({ day }) => day);
    expect(days).toHaveLength(400);
    expect(days.at(-1)).toBe("2026-03-26");
  });
});

describe("a file that is", () => {
  test.each([
    ["no JSON", "{ half"],
    ["empty", ""],
    ["another version's", JSON.stringify({ schemaVersion: 2, days: {}, gate: { reader: "", shift: NO_SHIFT } })],
    ["without a field", JSON.stringify({ schemaVersion: 1, days: {} })],
    [
      "wrong in a count",
      JSON.stringify({
        schemaVersion: 1,
        days: { "2026-11-21": { python: { ...NO_COUNTS, shown: -1 } } },
        gate: { reader: "", shift: NO_SHIFT },
      }),
    ],
  ])("%s starts anew, and a problem says so", async (_, text) => {
    writeFileSync(join(dir, "behaviour.json"), text);
    const { behaviour, problems } = await openBehaviour(dir);
    expect(problems.map(({ code }) => code)).toEqual(["BEHAVIOUR_FORGOTTEN"]);
    expect(behaviour.counts).toEqual([]);
    behaviour.count("typed", "python", 0, "2026-11-21");
    expect(await behaviour.save()).toEqual([]);
    expect(JSON.parse(readFileSync(join(dir, "behaviour.json"), "utf8"))).toHaveProperty(
      "days.2026-11-21.python.typed",
      1,
    );
  });
});

test("a folder that cannot be written is a problem, not a failure", async () => {
  writeFileSync(join(dir, "file"), "");
  mkdirSync(join(dir, "ok"));
  const { behaviour, problems } = await openBehaviour(join(dir, "file"));
  expect(problems.map(({ code }) => code)).toEqual(["BEHAVIOUR_FORGOTTEN"]);
  behaviour.count("accepted", "python", 1, "2026-11-21");
  expect((await behaviour.save()).map(({ code }) => code)).toEqual(["BEHAVIOUR_UNSAVED"]);
});
