// “Doctor” over the protocol: with the engine that runs, and where none could be started.
import { afterEach, beforeEach, expect, it } from "vitest";
import { type DoctorReport, ENGINE_COMMANDS } from "../../engine/protocol.ts";
import { startClient, type TestClient } from "./client.ts";
import { copyWorkspace, type TestWorkspace } from "./workspace.ts";

let workspace: TestWorkspace;
let client: TestClient | undefined;
beforeEach(async () => {
  workspace = await copyWorkspace();
});
afterEach(async () => {
  await client?.kill();
  client = undefined;
  await workspace.remove();
});

async function lookOver(settings: Record<string, unknown>, state: string): Promise<DoctorReport> {
  client = await startClient({ workspace: workspace.dir, storageDir: workspace.storageDir, settings });
  await client.status((status) => status.state === state);
  return (await client.index(ENGINE_COMMANDS.doctor)) as DoctorReport;
}

it("looks over the engine that runs and its index, and completions go on", async () => {
  const { ok, checks } = await lookOver({ "execution.providers": ["cpu"] }, "ready");
  expect(checks.filter((check) => !check.ok)).toEqual([]);
  expect(ok).toBe(true);
  const detail = (name: string) => checks.find((check) => check.name === name)?.detail;
  expect(detail("models")).toMatch(/is running$/);
  expect(detail("indexes")).toMatch(/^1 looked through and sound/);
  const uri = await client?.open("new.py", "def area(width, height):\n    return ");
  expect(await client?.complete(uri ?? "", 1, 11)).toBeDefined();
});

it("says what is wrong where no engine could be started", async () => {
  const { ok, checks } = await lookOver({ pack: "nobody" }, "error");
  expect(ok).toBe(false);
  expect(checks.find(({ name }) => name === "pack")).toMatchObject({
    ok: false,
    detail: expect.stringContaining("nobody"),
    fix: expect.stringMatching(/precis\.pack/),
  });
});
