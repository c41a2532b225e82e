import { expect, it } from "vitest";
import { RecentCompletions } from "../../engine/completion/recentCompletions.ts";

const at = (before: string, after = "\n") => ({ path: "a.py", text: before + after, offset: before.length });
const offer = (text: string, replaceRight = 0) => ({ text, replaceRight });
const along = (text: string, replaceRight = 0) => ({
  offer: { text, replaceRight },
  origin: "typed along the last completion",
});

it("gives the rest while the person types along", () => {
  const recent = new RecentCompletions();
  recent.add(at("x = "), "full", offer("compute(y)"));
  expect(recent.find(at("x = "), "full")).toEqual(along("compute(y)"));
  expect(recent.find(at("x = comp"), "full")).toEqual(along("ute(y)"));
});

it("forgets when anything else differs", () => {
  const recent = new RecentCompletions();
  recent.add(at("x = "), "full", offer("compute(y)"));
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
  recent.add(at("print(", ")\n"), "full", offer("total)", 1));
  expect(recent.find(at("print(to", ")\n"), "full")).toEqual(along("tal)", 1));
});

it("replaces a bracket that the editor closed meanwhile", () => {
  const recent = new RecentCompletions();
  recent.add(at("x = "), "full", offer("compute(y)"));
  expect(recent.find(at("x = compute(", ")\n"), "full")).toEqual(along("y)", 1));
});

it("says where a prefetched answer comes from", () => {
  const recent = new RecentCompletions();
  recent.add(at("x = "), "full", offer("1"), { origin: "prefetched after an acceptance" });
  expect(recent.find(at("x = "), "full")?.origin).toBe("prefetched after an acceptance");
});

it("keeps what the gate made of it", () => {
  const recent = new RecentCompletions();
  const verdict = { facts: {}, features: { meanLogProb: -1 }, probability: 0.4 };
  recent.add(at("x = "), "full", offer("compute(y)"), { verdict });
  expect(recent.find(at("x = comp"), "full")?.verdict).toEqual(verdict);
});

it("keeps a bounded number", () => {
  const recent = new RecentCompletions();
  for (let n = 0; n < 60; n += 1) recent.add(at(`x${n} = `), "full", offer("1"));
  expect(recent.find(at("x0 = "), "full")).toBeUndefined();
  expect(recent.find(at("x59 = "), "full")).toEqual(along("1"));
});
