import { expect, it } from "vitest";
import { type Completion, silent } from "../../engine/completion/complete.ts";
import { RecentCompletions } from "../../engine/completion/recentCompletions.ts";

const at = (before: string, after = "\n") => ({ path: "a.py", text: before + after, offset: before.length });
const offer = (text: string, replaceRight = 0) => ({ text, replaceRight });
/** What made the offers. */
const account: Completion = { ...silent("full", "nothing-generated"), text: "compute(y)" };
const along = (typed: number, text: string, replaceRight = 0) => ({
  offer: { text, replaceRight },
  origin: "typed along the last completion",
  typed,
  account,
});

it("gives the rest while the person types along", () => {
  const recent = new RecentCompletions();
  recent.add(at("x = "), "full", offer("compute(y)"), account);
  expect(recent.find(at("x = "), "full")).toEqual(along(0, "compute(y)"));
  expect(recent.find(at("x = comp"), "full")).toEqual(along(4, "ute(y)"));
});

it("forgets when anything else differs", () => {
  const recent = new RecentCompletions();
  recent.add(at("x = "), "full", offer("compute(y)"), account);
  expect(recent.find(at("x = other"), "full")).toBeUndefined();
  expect(recent.find(at("x = comp", " + 1\n"), "full")).toBeUndefined();
  expect(recent.find(at("x = comp"), "none")).toBeUndefined();
  expect(recent.find({ ...at("x = comp"), path: "b.py" }, "full")).toBeUndefined();
  expect(recent.find(at("x = compute(y)"), "full")).toBeUndefined();
  recent.clear();
  expect(recent.find(at("x = "), "full")).toBeUndefined();
});

it("keeps what the offer replaces", () => {
  const recent = new RecentCompletions();
  recent.add(at("print(", ")\n"), "full", offer("total)", 1), account);
  expect(recent.find(at("print(to", ")\n"), "full")).toEqual(along(2, "tal)", 1));
});

it("replaces a bracket that the editor closed meanwhile", () => {
  const recent = new RecentCompletions();
  recent.add(at("x = "), "full", offer("compute(y)"), account);
  expect(recent.find(at("x = compute(", ")\n"), "full")).toEqual(along(8, "y)", 1));
});

it("says where a prefetched answer comes from", () => {
  const recent = new RecentCompletions();
  recent.add(at("x = "), "full", offer("1"), account, { origin: "prefetched after an acceptance" });
  expect(recent.find(at("x = "), "full")?.origin).toBe("prefetched after an acceptance");
});

it("keeps what the gate made of it", () => {
  const recent = new RecentCompletions();
  const verdict = { facts: {}, features: { meanLogProb: -1 }, probability: 0.4 };
  recent.add(at("x = "), "full", offer("compute(y)"), account, { verdict });
  expect(recent.find(at("x = comp"), "full")?.verdict).toEqual(verdict);
});

it("keeps a bounded number", () => {
  const recent = new RecentCompletions();
  for (let n = 0; n < 60; n += 1) recent.add(at(`x${n} = `), "full", offer("1"), account);
  expect(recent.find(at("x0 = "), "full")).toBeUndefined();
  expect(recent.find(at("x59 = "), "full")).toEqual(along(0, "1"));
});
