import { expect, test } from "vitest";
import { AGAIN_LINK, doctorText } from "../../extension/doctorText.ts";

const node = { name: "node", ok: true, detail: "Node 24, linux-x64" };
const card = { name: "execution providers", ok: true, detail: "the reader runs on cpu", fix: "Install a driver." };
const pack = { name: "pack", ok: false, detail: "PACK_CORRUPT: /a_b/*.onnx has\nsha256 <x>", fix: "Reinstall Precis." };

test("what is wrong comes first, with what to do before what was found", () => {
  const text = doctorText({ ok: false, checks: [node, pack, card] });
  expect(text).toContain("One thing is wrong.");
  expect(text.indexOf("✗ Pack")).toBeLessThan(text.indexOf("**Node**"));
  expect(text).toContain("**What to do:** Reinstall Precis.");
  expect(text).toContain("Found: PACK\\_CORRUPT: /a\\_b/\\*.onnx has; sha256 \\<x\\>");
  expect(text).toContain("- **Execution providers**: the reader runs on cpu *Install a driver.*");
  expect(doctorText({ ok: true, checks: [{ ...card, name: "directml" }] })).toContain("- **DirectML**: ");
  expect(text).toContain(`[Look again](${AGAIN_LINK})`);
});

test("nothing wrong is said so, and several things are counted", () => {
  expect(doctorText({ ok: true, checks: [node] })).toContain("Everything that was looked at works.");
  expect(doctorText({ ok: false, checks: [pack, pack] })).toContain("2 things are wrong.");
});
