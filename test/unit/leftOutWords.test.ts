// The panel's words for what was left out, and that every reason of the engine has some.
import { describe, expect, it } from "vitest";
import { SKIP_REASONS } from "../../engine/indexing/skipReasons.ts";
import type { FolderIndex } from "../../engine/protocol.ts";
import { leftOutOf } from "../../extension/leftOut.ts";

const FOLDER: FolderIndex = {
  root: "/work",
  inner: [],
  files: 1,
  chunks: 1,
  nodes: 3,
  dbBytes: 1000,
  skipped: {},
  readOnly: false,
  indexedAt: 1,
  error: null,
};
const skipped = (...reasons: string[]) => ({
  reasons: reasons.map((reason) => ({ reason, meaning: "what it means", count: 2, files: [] })),
});

describe("what was left out", () => {
  it.each(Object.entries(SKIP_REASONS))("%s has a title and a sentence", (reason, meaning) => {
    const [row] = leftOutOf({ reasons: [{ reason, meaning, count: 1, files: [] }] }, [FOLDER]).reasons;
    expect(row?.title).toMatch(/^[A-Z]/);
    expect(row?.title.toLowerCase()).not.toBe("");
    expect(row?.sentence).toMatch(/^[A-Z].*\.$/);
    expect(row?.setting ?? "precis.").toMatch(/^precis\./);
  });

  it("keeps a reason it has no words for", () => {
    expect(leftOutOf(skipped("too-new"), [FOLDER]).reasons[0]).toMatchObject({ title: "Too new", count: 2 });
  });

  it("is counted, or said to be unknown", () => {
    expect(leftOutOf(skipped("binary", "secret"), [FOLDER]).sum).toMatch(/^4 files and folders/);
    expect(leftOutOf(skipped(), [FOLDER]).sum).toMatch(/^Nothing/);
    expect(leftOutOf(skipped(), []).sum).toBe("No folder is open.");
    expect(leftOutOf(skipped(), [{ ...FOLDER, indexedAt: null }]).sum).toMatch(/^Known when/);
    expect(leftOutOf(skipped(), [{ ...FOLDER, readOnly: true, indexedAt: null }]).sum).toMatch(
      /^The window that writes/,
    );
  });
});
