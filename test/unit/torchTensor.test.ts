// Our saved tensor beside one that torch saved: every file in the zip has the same bytes.
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { torchTensor } from "../../engine/infer/remote/torchTensor.ts";
import { filesInZip } from "../zipFiles.ts";

/** Made with torch 2.13: `torch.save(torch.tensor([(n - 5) / 3 for n in range(12)]).reshape(3, 4).to(torch.bfloat16), …)`. */
const SAVED = readFileSync(new URL("../fixtures/torch/rows.pt", import.meta.url));
/** `data.pkl` of `torch.zeros(300, 256, dtype=torch.bfloat16)`: numbers of more than one byte, and of more than two. */
const LARGE_PICKLE =
  "gAJjdG9yY2guX3V0aWxzCl9yZWJ1aWxkX3RlbnNvcl92MgpxACgoWAcAAABzdG9yYWdlcQFjdG9yY2gKQkZsb2F0MTZTdG9yYWdlCnECWAEAAAAwcQNYAwAAAGNwdXEESgAsAQB0cQVRSwBNLAFNAAGGcQZNAAFLAYZxB4ljY29sbGVjdGlvbnMKT3JkZXJlZERpY3QKcQgpUnEJdHEKUnELLg==";

it("holds what torch's own file holds, at multiples of 64 bytes", () => {
  const rows = Float32Array.from({ length: 12 }, (_, n) => (n - 5) / 3);
  const ours = filesInZip(torchTensor(rows, 4));
  const theirs = filesInZip(SAVED);
  for (const { name, content, at } of ours) {
    const same = theirs.find((file) => file.name === name);
    expect(same?.content.toString("hex"), name).toBe(content.toString("hex"));
    expect(at % 64, name).toBe(0);
  }
  // A number of torch's own that nothing reads is all that is missing.
  const names = new Set(ours.map(({ name }) => name));
  expect(theirs.map(({ name }) => name).filter((name) => !names.has(name))).toEqual([".data/serialization_id"]);
});

it("writes larger shapes as torch does", () => {
  const files = filesInZip(torchTensor(new Float32Array(300 * 256), 256));
  expect(files.find(({ name }) => name === "data.pkl")?.content.toString("base64")).toBe(LARGE_PICKLE);
});

it("rounds to the nearest, halves to even, and keeps what is no number", () => {
  const rows = Float32Array.of(1.00390625, 1.01171875, -0, Number.NaN, Number.POSITIVE_INFINITY, 3e38);
  const content = filesInZip(torchTensor(rows, 6)).find(({ name }) => name === "data/0")?.content;
  const words = Array.from({ length: 6 }, (_, n) => content?.readUInt16LE(2 * n).toString(16));
  expect(words).toEqual(["3f80", "3f82", "8000", "7fc0", "7f80", "7f62"]);
});
