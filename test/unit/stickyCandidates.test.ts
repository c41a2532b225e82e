import { describe, expect, it } from "vitest";
import { StickyCandidates } from "../../engine/completion/stickyCandidates.ts";

const FOUND = { candidates: [], names: ["found"] };
const TEXT = "class A:\n    def f(self):\n        x = 1\n\n    def g(self):\n        y = 2\n";

function at(text: string, marker: string, path = "a.py") {
  return { path, text, offset: text.indexOf(marker) + marker.length };
}

describe("StickyCandidates", () => {
  it("stay while a line of one scope is typed, in one mode and one file", () => {
    const sticky = new StickyCandidates(() => 1);
    sticky.add(at(TEXT, "x"), "full", FOUND);
    expect(sticky.find(at(TEXT, "x = 1"), "full")).toEqual(FOUND);
    const longer = TEXT.replace("x = 1", "x = 1\n        z = x");
    expect(sticky.find(at(longer, "z = x"), "full")).toEqual(FOUND);
    expect(sticky.find(at(TEXT, "x = 1"), "compressed")).toBeUndefined();
    expect(sticky.find(at(TEXT, "x = 1", "b.py"), "full")).toBeUndefined();
  });

  it("go with another scope, a distant line and a changed index", () => {
    let generation = 1;
    const sticky = new StickyCandidates(() => generation);
    sticky.add(at(TEXT, "x"), "full", FOUND);
    expect(sticky.find(at(TEXT, "y"), "full")).toBeUndefined();
    const far = TEXT.replace("x = 1", `x = 1${"\n        pass".repeat(9)}\n        last`);
    expect(sticky.find(at(far, "last"), "full")).toBeUndefined();
    generation = 2;
    expect(sticky.find(at(TEXT, "x"), "full")).toBeUndefined();
  });

  it("are kept for the last few places", () => {
    const sticky = new StickyCandidates(() => 1);
    for (const path of ["a.py", "b.py", "c.py", "d.py", "e.py"]) sticky.add(at(TEXT, "x", path), "full", FOUND);
    expect(sticky.find(at(TEXT, "x", "a.py"), "full")).toBeUndefined();
    expect(sticky.find(at(TEXT, "x", "b.py"), "full")).toEqual(FOUND);
  });
});
