import { describe, expect, it } from "vitest";
import { buildPrompt } from "../../engine/completion/prompt.ts";

/** One token a character: budgets are then easy to read. */
const countCharacters = (text: string) => text.length;

function promptAt(marked: string, budget = { left: 1000, right: 1000 }) {
  const offset = marked.indexOf("█");
  return buildPrompt({ path: "a.py", text: marked.replace("█", ""), offset }, budget, countCharacters);
}

describe("buildPrompt", () => {
  it("splits at the cursor", () => {
    expect(promptAt("x = 1\ny = █x\nz = 3\n")).toMatchObject({ prefix: "x = 1\ny = ", suffix: "x\nz = 3\n" });
  });

  it("leaves the break of an empty rest of line to the reader", () => {
    expect(promptAt("def f():\n    █  \nz = 3\n")).toMatchObject({ prefix: "def f():\n", suffix: "z = 3\n" });
    expect(promptAt("def f():\r\n    █\r\nz = 3\r\n")).toMatchObject({ suffix: "z = 3\r\n" });
  });

  it("cuts both windows at line starts", () => {
    const above = Array.from({ length: 40 }, (_, n) => `line_${n}\n`).join("");
    const prompt = promptAt(`${above}█\nbelow_1\nbelow_2\n`, { left: 60, right: 10 });
    expect(prompt).toMatchObject({ suffix: "below_1\n" });
    if ("reason" in prompt) throw new Error(prompt.reason);
    expect(prompt.prefix.length).toBeLessThanOrEqual(60);
    expect(above.endsWith(prompt.prefix)).toBe(true);
    expect(prompt.prefix).toMatch(/^line_\d+\n/);
  });

  it("does not move the left window while a line is typed", () => {
    const above = Array.from({ length: 100 }, (_, n) => `value_${n} = ${n}\n`).join("");
    const prefixes = ["", "a", "ab", "abc", "abc = value_99 + 1"].map((typed) => {
      const prompt = promptAt(`${above}${typed}█`, { left: 400, right: 10 });
      if ("reason" in prompt) throw new Error(prompt.reason);
      return prompt.prefix.slice(0, prompt.prefix.length - typed.length);
    });
    expect(new Set(prefixes).size).toBe(1);
  });

  it("cuts one line longer than the budget, never inside a character", () => {
    const prompt = promptAt(`${"😀".repeat(300)}█`, { left: 31, right: 10 });
    if ("reason" in prompt) throw new Error(prompt.reason);
    expect(prompt.prefix.length).toBeLessThanOrEqual(31);
    expect(prompt.prefix).toMatch(/^(?:😀)+$/u);
  });

  it("gives a reason instead of a prompt", () => {
    expect(promptAt("█ \n")).toEqual({ reason: "empty-document" });
    expect(buildPrompt({ path: "a.py", text: "x", offset: 2 }, { left: 9, right: 9 }, countCharacters)).toEqual({
      reason: "cursor-past-end",
    });
  });

  it("shows retrievers the lines around the cursor", () => {
    const prompt = promptAt(`far_away = 0\n${"pad\n".repeat(30)}near = 1\n█\nafter = 2\n`);
    if ("reason" in prompt) throw new Error(prompt.reason);
    expect(prompt.query).toContain("near = 1");
    expect(prompt.query).toContain("after = 2");
    expect(prompt.query).not.toContain("far_away");
  });
});
