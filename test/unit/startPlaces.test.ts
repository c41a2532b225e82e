// Where `npm start` asks for its completions: in the sample, and in a folder it has never seen.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { placeInFolder, placeInSample } from "../../scripts/completions.ts";
import { ROOT } from "../../scripts/run.ts";

describe("the place to complete", () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "precis-places-"));
  });

  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it("is the end of the sample's unfinished line", () => {
    const place = placeInSample(join(ROOT, "samples/parcels"));
    expect(place.file).toMatch(/returns\.py$/);
    expect(place.column).toBeGreaterThan(5);
  });

  it("is inside a call in a function, right behind the bracket", () => {
    writeFileSync(
      join(folder, "a.py"),
      "import os\n\n\ndef f(x):\n    '''Words.'''\n    y = x\n    z = g(y)\n    return z\n",
    );
    expect(placeInFolder(folder)).toEqual({ file: join(folder, "a.py"), line: 7, column: 11 });
  });

  it("counts columns in UTF-16 code units", () => {
    writeFileSync(join(folder, "a.py"), "def f():\n    a = 1\n    b = 2\n    s = '😀'; g(a)\n");
    expect(placeInFolder(folder)?.column).toBe("    s = '😀'; g(".length + 1);
  });

  it("is nowhere when there is no Python function", () => {
    writeFileSync(join(folder, "notes.txt"), "def f():\n");
    writeFileSync(join(folder, "empty.py"), "");
    expect(placeInFolder(folder)).toBeUndefined();
  });
});
