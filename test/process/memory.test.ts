// Resident memory of a process with the pack's models: it stays where it is, and goes back when they are unloaded.
import { expect, it } from "vitest";
import { memory } from "../../bench/memory.ts";
import { installationOf } from "../../engine/installation.ts";

const installation = installationOf(new URL("../../engine/cli.ts", import.meta.url).href);

async function memoryOver(options: { completions: number; cancelEvery: number }): Promise<(what: string) => number> {
  const { tables } = await memory.run({ ...options, threads: 1 }, installation);
  return (what) => {
    const row = tables[0]?.rows.find(([name]) => name === what);
    if (row === undefined) throw new Error(`no row ${what}`);
    return Number(row[1]);
  };
}

it("stays within a twentieth from the hundredth completion on, and models that are unloaded leave memory", async () => {
  const at = await memoryOver({ completions: 200, cancelEvery: 10 });
  expect(at("200 completions") / at("100 completions")).toBeLessThan(1.05);
  expect(at("models unloaded")).toBeLessThan(at("200 completions"));
  expect(at("loaded again by a request")).toBeLessThan(1.05 * at("200 completions"));
}, 240_000);

it("loses nothing to a thousand cancelled requests", async () => {
  const at = await memoryOver({ completions: 1000, cancelEvery: 1 });
  // Caches or results that were lost would be gigabytes; the heaps of two threads, not yet collected, are less than this.
  expect(at("1000 completions") - at("100 completions")).toBeLessThan(100);
}, 240_000);
