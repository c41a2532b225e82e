// Which open folders need a store of their own.
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { coverOf, fileOf } from "../../engine/folders.ts";

let top: string;
const at = (path: string) => join(top, path);

beforeAll(() => {
  top = realpathSync(mkdtempSync(join(tmpdir(), "precis-folders-")));
  for (const path of ["a/packages/one/inner", "a/ignored/kept", "a/node_modules/x", "ab", "elsewhere"])
    mkdirSync(at(path), { recursive: true });
  writeFileSync(at("a/.gitignore"), "ignored/\n");
  symlinkSync(at("elsewhere"), at("a/link"));
});
afterAll(() => rmSync(top, { recursive: true, force: true }));

const cover = (roots: string[], exclude: string[] = []) =>
  Object.fromEntries(coverOf(roots.map(at), exclude).entries());

describe("open folders", () => {
  it.each([
    ["stand beside each other", ["a", "ab"], { a: [], ab: [] }],
    ["are read with the folder around them, whatever their order", ["a/packages/one", "a"], { a: ["a/packages/one"] }],
    ["at every depth", ["a/packages/one/inner", "a/packages", "a"], { a: ["a/packages", "a/packages/one/inner"] }],
    ["stand alone where the outer one ignores them", ["a", "a/ignored/kept"], { a: [], "a/ignored/kept": [] }],
    ["stand alone where nobody would look", ["a", "a/node_modules/x"], { a: [], "a/node_modules/x": [] }],
    ["stand alone where a link leads to them", ["a", "a/link"], { a: [], "a/link": [] }],
    ["stand alone where there is nothing", ["a", "a/gone"], { a: [], "a/gone": [] }],
    ["count once", ["a", "a"], { a: [] }],
  ])("%s", (_, roots, expected) => {
    const named = Object.entries(expected).map(([root, inner]) => [at(root), inner.map(at)]);
    expect(cover(roots)).toEqual(Object.fromEntries(named));
  });

  it("keep the order of the window", () => {
    expect([...coverOf(["elsewhere", "ab", "a"].map(at), []).keys()]).toEqual(["elsewhere", "ab", "a"].map(at));
  });

  it("stand alone where the setting leaves them out", () => {
    expect(Object.keys(cover(["a", "a/packages/one"], ["packages/"]))).toEqual([at("a"), at("a/packages/one")]);
  });
});

it.each(["untitled:Untitled-1", "vscode-vfs://github/x/y.py", "vscode-remote://ssh-remote+x/home/y.py", "git:/x.py"])(
  "%s is on no disk here",
  (uri) => {
    expect(fileOf(uri)).toBeUndefined();
  },
);
