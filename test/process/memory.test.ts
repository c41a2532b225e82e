// Resident memory of a process with the pack's models: it stays where it is, and goes back when they are unloaded.
import { expect, it } from "vitest";
import { memory } from "../../bench/memory.ts";
import { installationOf } from "../../engine/installation.ts";

const installation = installationOf(new URL("../../engine/cli.ts", import.meta.url).href);

it("stays within a twentieth from the hundredth completion on, and models that are unloaded leave memory", async () => {
  const { tables } = await memory.run({ completions: 200, threads: 1 }, installation);
  const at = (what: string) => {
    const row = tables[0]?.rows.find(([name]) => name === what);
    if (row === undefined) throw new Error(`no row ${what}`);
    return Number(row[1]);
  };
  expect(at("200 completions") / at("100 completions")).toBeLessThan(1.05);
  expect(at("models unloaded")).toBeLessThan(at("200 completions"));
  expect(at("loaded again by a request")).toBeLessThan(1.05 * at("200 completions"));
}, 240_000);
