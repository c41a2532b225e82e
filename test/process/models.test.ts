// Models over the protocol: what there is, one that is got with progress, ended midway and gone on with, and used; an add-on for it.
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import {
  ExecuteCommandRequest,
  WorkDoneProgress,
  WorkDoneProgressCancelNotification,
} from "vscode-languageserver-protocol/node";
import { type AddModelOutcome, ENGINE_COMMANDS, MODELS, type ModelChoices } from "../../engine/protocol.ts";
import { type HubServer, startHubServer } from "../hubServer.ts";
import { startClient, type TestClient } from "./client.ts";

const TINY = fileURLToPath(new URL("../fixtures/qwen2/tiny", import.meta.url));
const ADDON = fileURLToPath(new URL("../fixtures/addOn/tiny", import.meta.url));
const REPOSITORY = "Qwen/Qwen2.5-Coder-0.5B";
const NAME = "qwen2.5-coder-0.5b";
const SHARD = "model-00002-of-00003.safetensors";
const TOKEN = "hf_process";

let dir: string;
let hub: HubServer;
let client: TestClient;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "precis-models-"));
  hub = await startHubServer({ repositories: { [REPOSITORY]: TINY }, token: TOKEN });
  client = await startClient({
    workspace: fileURLToPath(new URL("../../samples/parcels", import.meta.url)),
    storageDir: join(dir, "storage"),
    modelsDir: join(dir, "models/packs"),
    settings: { hub: { endpoint: hub.url } },
  });
  await client.status(({ state }) => state === "ready");
});
afterEach(async () => {
  await client.stop();
  await hub.close();
  await rm(dir, { recursive: true, force: true });
});

const choices = () => client.connection.sendRequest<ModelChoices>(MODELS, null);

/** `onReport` hears of each progress report. */
async function add(
  token: string | undefined,
  workDoneToken: string,
  onReport: (message: string) => void = () => {},
  source = REPOSITORY,
) {
  const listener = client.connection.onProgress(WorkDoneProgress.type, workDoneToken, (value) => {
    if (value.kind === "report") onReport(value.message ?? "");
  });
  const wish = { source, ...(token === undefined ? {} : { token }) };
  const params = { command: ENGINE_COMMANDS.addModel, arguments: [wish], workDoneToken };
  const outcome: AddModelOutcome = await client.connection.sendRequest(ExecuteCommandRequest.type, params);
  listener.dispose();
  return outcome;
}

it("lists what is here and what can be got, and asks no hub for it", async () => {
  const { installed, offered, hub: named, machine } = await choices();
  expect(installed.map(({ isBundled, problem }) => ({ isBundled, problem }))).toContainEqual({
    isBundled: true,
    problem: null,
  });
  expect(offered.map(({ source }) => source)).toContain(REPOSITORY);
  expect(named).toMatchObject({ url: hub.url, origin: hub.url });
  expect(machine.memoryBytes).toBeGreaterThan(1e8);
  expect(machine.freeDiskBytes).toBeGreaterThan(0);
  expect(hub.requests).toEqual([]);
});

it("gets one that wants a token, is ended midway, goes on, and is used", async () => {
  expect(await add(undefined, "first")).toMatchObject({ end: "failed", code: "HUB_TOKEN" });

  hub.faults.set(SHARD, [{ kind: "stall", afterBytes: 20_000 }]);
  const ended = add(TOKEN, "second");
  await expect.poll(() => hub.rangesOf(SHARD).length, { timeout: 20_000 }).toBe(1);
  const part = async () => {
    const names = await readdir(join(dir, "models/downloads", NAME), { recursive: true }).catch(() => []);
    return names.some((name) => name.endsWith(`${SHARD}.part`));
  };
  await expect.poll(part, { timeout: 20_000 }).toBe(true);
  await client.connection.sendNotification(WorkDoneProgressCancelNotification.type, { token: "second" });
  expect(await ended).toMatchObject({ end: "cancelled" });
  const between = await choices();
  expect(between.offered.find(({ name }) => name === NAME)?.here).toBeGreaterThan(70_000);
  expect(between.installed.map(({ name }) => name)).not.toContain(NAME);

  const said: string[] = [];
  expect(await add(TOKEN, "third", (message) => said.push(message))).toMatchObject({ end: "done", pack: NAME });
  expect(said.join("\n")).toMatch(/preparing: /);
  expect(hub.rangesOf("model-00001-of-00003.safetensors")).toHaveLength(1);
  await client.changeSettings({ ...client.settings, pack: NAME });
  const { pack } = await client.status((status) => status.pack?.id === NAME && status.state === "ready");
  expect(pack?.title).toBe("Qwen2.5-Coder 0.5B");
  expect(pack?.modes).not.toContain("compressed");
  // What the pack cannot do is nobody's fault where nobody chose it.
  expect(client.statuses.at(-1)).toMatchObject({ modeChoice: "auto", mode: "full" });
  expect((await choices()).installed.find(({ name }) => name === NAME)).toMatchObject({ problem: null });

  // A folder with a projector for that very reader; it is there for the engine that is started next.
  const added = await add(undefined, "fourth", () => {}, ADDON);
  expect(added).toMatchObject({ end: "done" });
  expect(added.pack).toBeUndefined();
  await client.changeSettings({ ...client.settings, pack: "auto" });
  await client.status((status) => status.pack !== null && status.pack.id !== NAME && status.state === "ready");
  await client.changeSettings({ ...client.settings, pack: NAME });
  const again = await client.status((status) => status.pack?.id === NAME && status.state === "ready");
  expect(again.pack?.modes).toContain("compressed");
});
