// What VS Code calls inside the extension host: runs the Mocha suite and leaves one line of JSON per test in PRECIS_RESULTS.
import { appendFileSync } from "node:fs";
import Mocha from "mocha";

export async function run(): Promise<void> {
  const mocha = new Mocha({ ui: "bdd", timeout: 120_000, color: false });
  mocha.suite.emit("pre-require", globalThis, "", mocha);
  // Only now: the suite's file calls `describe` when it is loaded.
  await import("./extension.test.ts");
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
