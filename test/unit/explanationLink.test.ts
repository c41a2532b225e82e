import { describe, expect, test } from "vitest";
import { parseExplanationLink } from "../../extension/explanationLink.ts";

describe("a link of an explanation", () => {
  test.each([
    ["parcels/desk.py#L3-L12", { path: "parcels/desk.py", from: 3, to: 12 }],
    ["parcels/desk.py#L7", { path: "parcels/desk.py", from: 7, to: 7 }],
    ["a%20b/caf%C3%A9.py#L1", { path: "a b/café.py", from: 1, to: 1 }],
  ])("%s", (href, link) => {
    expect(parseExplanationLink(href)).toEqual(link);
  });

  test.each([
    "https://example.org/a.py#L1",
    "/etc/passwd#L1",
    "%2Fetc%2Fpasswd#L1",
    "../secret.py#L1",
    "a/..%2f..%2fb.py#L1",
    "C:/x.py#L1",
    "a.py",
    "%E0%A4.py#L1",
    "command:workbench.action.quit",
  ])("leads nowhere: %s", (href) => {
    expect(parseExplanationLink(href)).toBeUndefined();
  });
});
