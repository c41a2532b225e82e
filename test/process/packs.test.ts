// An editor's packs and the command line's: both see the same ones, and one that is in use can be removed.
import { execFile } from "node:child_process";
import { cp, mkdir, readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { ExecuteCommandRequest } from "vscode-languageserver-protocol/node";
import { ENGINE_COMMANDS, MODELS, type ModelChoices, type RemoveModelOutcome } from "../../engine/protocol.ts";
import { startClient, type TestClient } from "./client.ts";
import { copyWorkspace, type TestWorkspace } from "./workspace.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const BUNDLED = "precis-python-small";

let workspace: TestWorkspace;
let modelsDir: string;
let client: TestClient | undefined;
const before = { ...process.env };

beforeAll(async () => {
  workspace = await copyWorkspace();
  // A person's folders of their own, on every system.
  const home = join(dirname(workspace.dir), "home");
  for (const name of ["HOME", "USERPROFILE", "LOCALAPPDATA", "XDG_DATA_HOME", "XDG_CACHE_HOME"])
    process.env[name] = home;
  modelsDir = join(dirname(workspace.dir), "editor/models/packs");
  await mkdir(modelsDir, { recursive: true });
  await cp(join(ROOT, "packs", BUNDLED), join(modelsDir, "mine"), { recursive: true });
  await cp(join(ROOT, "test/fixtures/addOn/tiny"), join(modelsDir, "projector"), { recursive: true });
});
afterEach(() => client?.kill());
afterAll(async () => {
  process.env = before;
  await workspace.remove();
});

async function precis(...args: string[]): Promise<string> {
  return (await promisify(execFile)(process.execPath, [join(ROOT, "dist/cli.js"), "packs", ...args])).stdout;
}

const listed = async () => JSON.parse(await precis("list", "--json"));

it("what an editor keeps for itself is seen and removed by both", async () => {
  expect((await listed()).packs.map(({ name }: { name: string }) => name)).toEqual([BUNDLED]);
  client = await startClient({
    workspace: workspace.dir,
    storageDir: workspace.storageDir,
    modelsDir,
    settings: { pack: "mine" },
  });
  await client.status(({ state }) => state === "ready");
  expect(await listed()).toMatchObject({
    packs: [{ name: BUNDLED }, { name: "mine", dir: join(modelsDir, "mine") }],
    addOns: [{ name: "projector", dir: join(modelsDir, "projector") }],
  });
  expect(await precis("verify", "mine")).toContain("parity samples within tolerance");

  const { installed, addOns } = await client.connection.sendRequest<ModelChoices>(MODELS, null);
  expect(installed).toMatchObject([
    { name: BUNDLED, isBundled: true, isInUse: false },
    { name: "mine", isBundled: false, isInUse: true },
  ]);
  expect(addOns).toMatchObject([{ name: "projector", isInUse: false, problem: null }]);

  expect(await precis("remove", "projector")).toMatch(/projector is removed: [\d.]+ MB are free again/);
  const remove = (name: string): Promise<RemoveModelOutcome> | undefined =>
    client?.connection.sendRequest(ExecuteCommandRequest.type, {
      command: ENGINE_COMMANDS.removeModel,
      arguments: [{ name }],
    });
  expect(await remove(BUNDLED)).toMatchObject({ end: "failed", message: expect.stringContaining("comes with Precis") });
  expect(await remove("mine")).toEqual({ end: "done", message: "mine is removed" });
  expect(await readdir(modelsDir)).toEqual([]);
  // The setting still names it: that is said, and another choice is all it takes.
  const without = await client.status(({ state }) => state === "error");
  expect(without.message).toMatch(/PACK_MISSING: no pack named mine.*Choose another pack/s);
  await client.changeSettings({ pack: "auto" });
  await client.status(({ state, pack }) => state === "ready" && pack?.id === BUNDLED);
});

it("the command line refuses what it may not remove, with the reason", async () => {
  await expect(precis("remove", BUNDLED)).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/PACK_BUNDLED: .* comes with Precis\n.*another can be used/),
  });
  await expect(precis("remove", "../packs")).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/PACK_UNKNOWN: no pack or add-on named \.\.\/packs in .*\n.*packs list/),
  });
});
