// What VS Code calls inside the extension host: runs the Mocha suite and leaves one line of JSON per test in PRECIS_RESULTS.
// PRECIS_GREP: only the tests whose title has that in it.
import { appendFileSync } from "node:fs";
import Mocha from "mocha";

export async function run(): Promise<void> {
  const only = process.env["PRECIS_GREP"];
  const mocha = new Mocha({ ui: "bdd", timeout: 120_000, color: false, ...(only === undefined ? {} : { grep: only }) });
  mocha.suite.emit("pre-require", globalThis, "", mocha);
  // Only now: the suite's file calls `describe` when it is loaded.
  await import("./extension.test.ts");
  await import("./documents.test.ts");
  const results = process.env["PRECIS_RESULTS"];
  const failures = await new Promise<number>((done) => {
    const runner = mocha.run(done);
    const note = (test: Mocha.Test, error?: unknown): void => {
      if (results === undefined) return;
      const row = {
        title: test.fullTitle(),
        state: test.state ?? "pending",
        error: error === undefined ? undefined : String(error),
      };
      appendFileSync(results, `${JSON.stringify(row)}\n`);
    };
    runner.on("pass", note);
    runner.on("pending", note);
    runner.on("fail", note);
  });
  if (failures > 0) throw new Error(`${failures} tests failed in the extension host`);
}
