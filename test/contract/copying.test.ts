// What stood in the file, or in another file like it, beyond what the reader reads, is written again: with the bundled pack.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Mode } from "../../engine/domain.ts";
import { type EngineFixture, openEngineFixture } from "./engineFixture.ts";

const BODY = [
  "    gauge = harbour.tide_gauge(vessel.berth_code)",
  "    surplus = gauge.clearance_above(vessel.draught_cm)",
  "    harbour.log_clearance(vessel, surplus, unit='cm')",
];
const EARLIER = `def moor(vessel, harbour):\n${BODY.join("\n")}\n`;
/** More than the reader reads. */
const BETWEEN = Array.from({ length: 120 }, (_, n) => `def step_${n}(value):\n    return value + ${n}\n`).join("\n\n");
const HERE = `def anchor(vessel, harbour):\n${BODY.slice(0, 2).join("\n")}\n`;

let fixture: EngineFixture;
beforeAll(async () => {
  fixture = await openEngineFixture();
});
afterAll(() => fixture.close());

async function written(path: string, text: string, mode: Mode, copies: boolean): Promise<string> {
  // Another path each time, of which memory holds nothing.
  const cursor = { path: `${copies ? "with" : "without"}_${path}`, text, offset: text.length };
  const { trace } = await fixture.workspace.complete(cursor, { mode, maxLines: 1, copies });
  return String(trace.facts["raw"] ?? "").trimEnd();
}

it("copies from the far end of its own file in every mode", async () => {
  const text = `${EARLIER}\n\n${BETWEEN}\n\n${HERE}`;
  for (const mode of ["none", "full", "compressed"] as const) {
    expect(await written(`${mode}.py`, text, mode, true)).toBe(BODY[2]);
    expect(await written(`${mode}.py`, text, mode, false)).not.toBe(BODY[2]);
  }
});

it("copies from behind the cursor", async () => {
  const before = `${BETWEEN}\n\n${HERE}`;
  const cursor = { path: "behind.py", text: `${before}\n\n${BETWEEN}\n\n${EARLIER}`, offset: before.length };
  const { trace } = await fixture.workspace.complete(cursor, { mode: "none", maxLines: 1 });
  expect(String(trace.facts["raw"]).trimEnd()).toBe(BODY[2]);
});

it("copies from a retrieved chunk, and reads names of such chunks in mode compressed", async () => {
  await writeFile(join(fixture.files.dir, "shop", "mooring.py"), EARLIER);
  await fixture.workspace.index();
  const text = `"""Ships that wait outside."""\n\n\n${HERE}`;
  const cursor = { path: "shop/anchoring.py", text, offset: text.length };
  for (const mode of ["none", "full", "compressed"] as const) {
    const { trace } = await fixture.workspace.complete(cursor, { mode, maxLines: 1 });
    const raw = String(trace.facts["raw"]).trimEnd();
    if (mode === "none") expect(raw).not.toBe(BODY[2]);
    else expect(raw).toBe(BODY[2]);
    expect(trace.facts["names"] !== undefined).toBe(mode === "compressed");
  }
});

it("takes the end of an unfinished file for no line break", async () => {
  const begun = `def unmoor(vessel, harbour):\n${BODY[0]}\n    harbour.call_pilot(vessel.berth_code, gauge)\n    surplus =`;
  await writeFile(join(fixture.files.dir, "shop", "unmooring.py"), `${begun}\n`);
  await fixture.workspace.index();
  // Code that is all here is not retrieved.
  const text = begun.replace("unmoor", "cast_off");
  const cursor = { path: "shop/casting_off.py", text, offset: text.length };
  for (const mode of ["full", "compressed"] as const) {
    const { trace } = await fixture.workspace.complete(cursor, { mode, maxLines: 1 });
    // On the same line.
    expect(String(trace.facts["raw"])).toMatch(/^.*\S/);
  }
});
