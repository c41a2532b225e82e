import { expect, it } from "vitest";
import { RecentCompletions } from "../../engine/completion/recentCompletions.ts";

const at = (before: string, after = "\n") => ({ path: "a.py", text: before + after, offset: before.length });

it("gives the rest while the person types along", () => {
  const recent = new RecentCompletions();
  recent.add(at("x = "), "full", "compute(y)");
  expect(recent.find(at("x = "), "full")).toBe("compute(y)");
  expect(recent.find(at("x = comp"), "full")).toBe("ute(y)");
});

it("forgets when anything else differs", () => {
  const recent = new RecentCompletions();
  recent.add(at("x = "), "full", "compute(y)");
  expect(recent.find(at("x = other"), "full")).toBeUndefined();
  expect(recent.find(at("x = comp", ")\n"), "full")).toBeUndefined();
  expect(recent.find(at("x = comp"), "none")).toBeUndefined();
  expect(recent.find({ ...at("x = comp"), path: "b.py" }, "full")).toBeUndefined();
  expect(recent.find(at("x = compute(y)"), "full")).toBeUndefined();
  recent.clear();
  expect(recent.find(at("x = "), "full")).toBeUndefined();
});

it("keeps a bounded number", () => {
  const recent = new RecentCompletions();
  for (let n = 0; n < 60; n += 1) recent.add(at(`x${n} = `), "full", "1");
  expect(recent.find(at("x0 = "), "full")).toBeUndefined();
  expect(recent.find(at("x59 = "), "full")).toBe("1");
});
