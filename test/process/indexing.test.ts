// What the index does by itself in an editor: pauses, cancelling, several folders, several windows.
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DidChangeWorkspaceFoldersNotification, type WorkspaceFolder } from "vscode-languageserver-protocol/node";
import { ENGINE_COMMANDS, type EngineStatus } from "../../engine/protocol.ts";
import { startClient, type TestClient, type TestClientOptions } from "./client.ts";
import { copyWorkspace, type TestWorkspace } from "./workspace.ts";

let workspace: TestWorkspace;
let clients: TestClient[];
let extra: string;

beforeEach(async () => {
  workspace = await copyWorkspace();
  clients = [];
  extra = await mkdtemp(join(tmpdir(), "precis-extra-"));
});
afterEach(async () => {
  for (const client of clients) await client.kill();
  await workspace.remove();
  await rm(extra, { recursive: true, force: true });
});

async function start(options: Partial<TestClientOptions> = {}): Promise<TestClient> {
  const client = await startClient({ workspace: workspace.dir, storageDir: workspace.storageDir, ...options });
  clients.push(client);
  return client;
}

const isReady = (status: EngineStatus) => status.state === "ready";

async function writeModules(folder: string, count: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (let n = 0; n < count; n += 1)
    await writeFile(join(folder, `module_${n}.py`), `def function_${n}(value):\n    return value + ${n}\n`);
}

const folderOf = (path: string): WorkspaceFolder => ({ uri: pathToFileURL(path).href, name: path });

async function changeFolders(client: TestClient, added: string[], removed: string[]): Promise<void> {
  await client.connection.sendNotification(DidChangeWorkspaceFoldersNotification.type, {
    event: { added: added.map(folderOf), removed: removed.map(folderOf) },
  });
}

const rootsOf = (status: EngineStatus) => status.index.folders.map(({ root }) => root);

describe("several folders in one window", () => {
  it("have a store each, come and go while the engine runs, and know their own files", async () => {
    await writeModules(join(extra, "one"), 3);
    const client = await start();
    await client.status(isReady);
    await changeFolders(client, [join(extra, "one")], []);
    const both = await client.status((status) => isReady(status) && status.index.files === 8);
    expect(both.index.folders).toMatchObject([
      { root: workspace.dir, files: 5, inner: [], readOnly: false, error: null },
      { root: join(extra, "one"), files: 3, inner: [], readOnly: false, error: null },
    ]);
    expect(both.index.folders.every(({ indexedAt }) => indexedAt !== null && indexedAt <= Date.now())).toBe(true);
    await changeFolders(client, [], [workspace.dir]);
    const one = await client.status((status) => isReady(status) && status.index.files === 3);
    expect(rootsOf(one)).toEqual([join(extra, "one")]);
    // What was stored is found again.
    await changeFolders(client, [workspace.dir], []);
    await client.status((status) => isReady(status) && status.index.files === 8);
  });

  it("are read with the folder around them, unless that leaves them out", async () => {
    const outer = join(extra, "outer");
    await writeModules(join(outer, "packages/inner"), 3);
    await writeModules(join(outer, "other"), 2);
    await writeModules(join(outer, "generated"), 4);
    await writeFile(join(outer, ".precisignore"), "generated/\n");
    const client = await start({ workspace: join(outer, "packages/inner") });
    await client.status((status) => isReady(status) && status.index.files === 3);
    await changeFolders(client, [outer, join(outer, "generated")], []);
    const all = await client.status((status) => isReady(status) && status.index.files === 9);
    expect(all.index.folders).toMatchObject([
      { root: outer, inner: [join(outer, "packages/inner")], files: 5 },
      { root: join(outer, "generated"), inner: [], files: 4 },
    ]);
    await changeFolders(client, [], [outer]);
    const apart = await client.status((status) => isReady(status) && status.index.files === 7);
    expect(rootsOf(apart).sort()).toEqual([join(outer, "generated"), join(outer, "packages/inner")]);
  });

  it("do not suffer from one that cannot be read", async () => {
    await writeModules(join(extra, "goes"), 2);
    const client = await start();
    await client.status(isReady);
    await changeFolders(client, [join(extra, "goes")], []);
    await client.status((status) => isReady(status) && status.index.files === 7);
    await rename(join(extra, "goes"), join(extra, "gone"));
    await client.index(ENGINE_COMMANDS.index);
    const after = client.statuses.at(-1);
    expect(after).toMatchObject({ state: "ready", message: expect.stringContaining("1 of 2 folders") });
    expect(after?.index.folders[0]).toMatchObject({ error: null, files: 5 });
    expect(after?.index.folders[1]?.error).toMatch(/^WORKSPACE_MISSING.*Give a folder/s);
    await rename(join(extra, "gone"), join(extra, "goes"));
    await client.index(ENGINE_COMMANDS.index);
    expect(client.statuses.at(-1)).toMatchObject({ message: "Ready", index: { folders: [{}, { error: null }] } });
  });

  it("may be removed while they are read", async () => {
    await writeModules(join(extra, "many"), 400);
    const client = await start();
    await client.status(isReady);
    await changeFolders(client, [join(extra, "many")], []);
    await client.status((status) => (status.indexing?.filesTotal ?? 0) === 400 && status.index.files > 5);
    await changeFolders(client, [], [join(extra, "many")]);
    const after = await client.status((status) => isReady(status) && rootsOf(status).length === 1);
    expect(after.index.files).toBe(5);
    expect(client.errors()).toBe("");
  });

  it("have nothing to read where they are not on this machine's disk, and completions go on", async () => {
    const client = await start({ folders: ["vscode-vfs://github/someone/something", "vscode-remote://other/home"] });
    const ready = await client.status(isReady);
    expect(ready).toMatchObject({
      message: expect.stringContaining("not on this machine's disk"),
      index: { files: 0 },
    });
    const uri = "vscode-vfs://github/someone/something/a.py";
    await client.connection.sendNotification("textDocument/didOpen", {
      textDocument: { uri, languageId: "python", version: 1, text: "import os\n\nname = os.path." },
    });
    await client.complete(uri, 2, 15);
    const { last } = await client.status((status) => status.last !== null);
    expect(last?.mode).toBeDefined();
    expect(await client.explain()).toContain("[a.py:3:16](a.py#L3)");
  });
});

describe("two windows on one folder", () => {
  it("the second sees what the first indexes, and goes on where it ended", async () => {
    const first = await start();
    await first.status(isReady);
    const second = await start();
    expect((await second.status(isReady)).index).toMatchObject({ readOnly: true, files: 5 });
    await writeModules(workspace.dir, 3);
    await first.index(ENGINE_COMMANDS.index);
    await second.status((status) => status.index.readOnly && status.index.files === 8);
    expect(await second.index(ENGINE_COMMANDS.reindex)).toMatchObject({ end: "read-only" });
    await first.kill();
    await writeModules(join(workspace.dir, "later"), 2);
    const alone = await second.status((status) => isReady(status) && status.index.files === 10);
    expect(alone.index.readOnly).toBe(false);
  });
});

describe("two windows of different workspaces", () => {
  it("share the store of a folder that is open in both", async () => {
    const storesDir = join(extra, "stores");
    const first = await start({ storesDir });
    await first.status(isReady);
    const other = { folders: [pathToFileURL(workspace.dir).href, pathToFileURL(extra).href] };
    const second = await start({ ...other, storesDir, storageDir: join(extra, "storage") });
    const { index } = await second.status(isReady);
    expect(index.folders).toMatchObject([
      { root: workspace.dir, files: 5, readOnly: true, indexedAt: null },
      { root: extra, readOnly: false },
    ]);
    expect(index.folders[1]?.indexedAt).not.toBeNull();
  });
});

describe("a pass over the disk", () => {
  it("tells files, rate and time left, and its end", async () => {
    await writeModules(join(workspace.dir, "many"), 1200);
    const client = await start();
    await client.status(isReady);
    const told = client.statuses.flatMap(({ indexing }) => indexing ?? []);
    expect(told.length).toBeGreaterThan(1);
    for (const progress of told) {
      expect(progress).toMatchObject({ root: workspace.dir, filesTotal: 1205 });
      expect(progress.filesDone).toBeLessThanOrEqual(1205);
    }
    expect(told.some(({ filesPerSecond }) => filesPerSecond > 0)).toBe(true);
    expect(told.some(({ secondsLeft }) => secondsLeft !== null && secondsLeft > 0)).toBe(true);
    expect(told.map(({ filesDone }) => filesDone)).toEqual(
      told.map(({ filesDone }) => filesDone).sort((a, b) => a - b),
    );
    expect(client.statuses.at(-1)?.indexing).toBeNull();
  });

  it("that began by itself can be cancelled, and none begins until a person asks", async () => {
    await writeModules(join(workspace.dir, "many"), 400);
    const client = await start();
    await client.status((status) => status.indexing !== null);
    await client.index(ENGINE_COMMANDS.cancel);
    const held = await client.status(isReady);
    expect(held).toMatchObject({ paused: { reason: "cancelled" }, message: expect.stringContaining("cancelled") });
    expect(held.index.files).toBeLessThan(405);
    const uri = await client.open(join(workspace.dir, "shop/money.py"));
    await client.connection.sendNotification("workspace/didChangeWatchedFiles", { changes: [{ uri, type: 2 }] });
    const seen = client.statuses.length;
    await new Promise((done) => setTimeout(done, 2500));
    expect(client.statuses.slice(seen).filter(({ state }) => state === "indexing")).toEqual([]);
    expect(await client.index(ENGINE_COMMANDS.index)).toMatchObject({ end: "done" });
    expect(client.statuses.at(-1)).toMatchObject({ paused: null, index: { files: 405 } });
  });
});

describe("on battery power", () => {
  const powerFile = () => join(extra, "power.json");
  const setPower = (isOnBattery: boolean, percent: number) =>
    writeFile(powerFile(), JSON.stringify({ isOnBattery, percent }));
  const startPowered = (settings: Record<string, unknown> = {}) =>
    start({ settings, command: [fileURLToPath(new URL("poweredServer.ts", import.meta.url)), powerFile(), "--stdio"] });

  it("with little charge nothing is indexed until mains power is back", async () => {
    await setPower(true, 20);
    const client = await startPowered();
    const waiting = await client.status(isReady);
    expect(waiting).toMatchObject({ paused: { reason: "battery", percent: 20 }, index: { files: 0 } });
    const uri = await client.open(join(workspace.dir, "shop/money.py"));
    await client.complete(uri, 0, 0);
    await client.status(({ last }) => last !== null);
    await setPower(false, 20);
    await client.status((status) => isReady(status) && status.paused === null && status.index.files === 5);
  });

  it("a person's wish to index is not kept waiting", async () => {
    await setPower(true, 20);
    const client = await startPowered();
    await client.status(isReady);
    expect(await client.index(ENGINE_COMMANDS.index)).toMatchObject({ end: "done" });
    expect(client.statuses.at(-1)).toMatchObject({ paused: null, index: { files: 5 } });
  });

  it("a pass under way ends when the charge gets low, and goes on later", async () => {
    await writeModules(join(workspace.dir, "many"), 400);
    await setPower(true, 31);
    const client = await startPowered();
    await client.status((status) => status.indexing !== null);
    await setPower(true, 29);
    const cut = await client.status(isReady);
    expect(cut).toMatchObject({ paused: { reason: "battery", percent: 29 } });
    expect(cut.index.files).toBeLessThan(405);
    await setPower(false, 29);
    await client.status((status) => isReady(status) && status.index.files === 405);
  });

  it("with the setting “pause” any charge waits, with “run” none", async () => {
    await setPower(true, 90);
    const client = await startPowered({ index: { onBattery: "pause" } });
    await client.status((status) => isReady(status) && status.paused?.reason === "battery");
    await client.changeSettings({ index: { onBattery: "run" } });
    await client.status((status) => isReady(status) && status.paused === null && status.index.files === 5);
  });
});
