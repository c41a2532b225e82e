// Resident memory of a process with the pack's models: it stays where it is, and goes back when they are unloaded.
import { fork } from "node:child_process";
import { expect, it } from "vitest";

type Row = readonly [what: string, total: number, ...rest: unknown[]];

/** As the extension starts the engine. */
const ENVIRONMENT = { MALLOC_MMAP_THRESHOLD_: "131072", MALLOC_TRIM_THRESHOLD_: "131072" };

function rowsOfProcess(): Promise<readonly Row[]> {
  return new Promise((resolve, reject) => {
    const child = fork(new URL("./memoryProcess.ts", import.meta.url), {
      env: { ...process.env, ...ENVIRONMENT },
      execArgv: [],
    });
    child.on("message", (rows: readonly Row[]) => resolve(rows));
    child.on("exit", (code) => reject(new Error(`the measured process ended with ${code}`)));
  });
}

it("stays within a twentieth from the hundredth completion on, and models that are unloaded leave memory", async () => {
  const rows = await rowsOfProcess();
  const at = (what: string) => {
    const row = rows.find(([name]) => name === what);
    if (row === undefined) throw new Error(`no row ${what}`);
    return row[1];
  };
  expect(at("200 completions") / at("100 completions")).toBeLessThan(1.05);
  expect(at("models unloaded")).toBeLessThan(at("200 completions"));
  expect(at("loaded again by a request")).toBeLessThan(1.05 * at("200 completions"));
}, 240_000);
