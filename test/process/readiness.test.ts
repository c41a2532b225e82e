// What the status says before the engine knows what the stores hold: never that it is ready.
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { EngineStatus } from "../../engine/protocol.ts";
import { startClient, type TestClient, type TestClientOptions } from "./client.ts";
import { copyWorkspace, type TestWorkspace } from "./workspace.ts";

let workspace: TestWorkspace;
let clients: TestClient[];

async function start(options: Partial<TestClientOptions> = {}): Promise<TestClient> {
  const client = await startClient({ workspace: workspace.dir, storageDir: workspace.storageDir, ...options });
  clients.push(client);
  return client;
}

const isReady = ({ state }: EngineStatus) => state === "ready";

/** State and files of the statuses from the n-th on, each once in a row. */
function toldBy(client: TestClient, from = 0): string[] {
  const told = client.statuses.slice(from).map(({ state, index }) => `${state} ${index.files}`);
  return told.filter((each, n) => each !== told[n - 1]);
}

/** Resolves with what was told up to the next time that it is ready again. */
async function toldWhile(client: TestClient, change: () => Promise<void>): Promise<string[]> {
  const from = client.statuses.length;
  await change();
  await client.status((status) => client.statuses.slice(from).some((each) => !isReady(each)) && isReady(status));
  return toldBy(client, from);
}

describe("with an index of five files on disk", () => {
  beforeEach(async () => {
    workspace = await copyWorkspace();
    clients = [];
    const client = await start();
    await client.status((status) => isReady(status) && status.index.files === 5);
    await client.stop();
  });
  afterEach(async () => {
    for (const client of clients) await client.kill();
    await workspace.remove();
  });

  it("an engine that ends claims nothing any more", () => {
    const [client] = clients;
    expect(client?.statuses.at(-1)).toMatchObject({ state: "ready", index: { files: 5 } });
  });

  it("an engine is ready when the index is open, and is started once", async () => {
    // Only a fresh engine takes up this setting, and the editor tells of it while the first one starts: a second start would
    // show as another "starting 5".
    const client = await start({ settings: { execution: { threads: 1 } } });
    await client.status(isReady);
    expect(toldBy(client)).toEqual(["starting 0", "indexing 5", "ready 5"]);
  });

  it("an engine that is made anew by a setting is not ready in between", async () => {
    const client = await start();
    await client.status(isReady);
    const told = await toldWhile(client, () => client.changeSettings({ execution: { threads: 1 } }));
    expect(told).toEqual(["starting 5", "starting 0", "indexing 5", "ready 5"]);
  });

  it("nor is one that opens the index anew", async () => {
    const client = await start();
    await client.status(isReady);
    const told = await toldWhile(client, () => client.changeSettings({ retrieval: { minOverlap: 0.1 } }));
    expect(told).toEqual(["starting 5", "indexing 5", "ready 5"]);
  });

  it("a setting that wants a fresh engine does not wait for the end of a long pass", async () => {
    const folder = join(workspace.dir, "many");
    await mkdir(folder);
    for (let n = 0; n < 600; n += 1)
      await writeFile(join(folder, `module_${n}.py`), `def function_${n}():\n    return ${n}\n`);
    const client = await start();
    await client.status((status) => (status.indexing?.filesDone ?? 0) > 0);
    await client.changeSettings({ execution: { threads: 1 } });
    const again = await client.status(({ message }) => message === "Loading the models");
    expect(again.index.files).toBeLessThan(605);
    const { index } = await client.status((status) => isReady(status) && status.index.files === 605);
    expect(index.files).toBe(605);
  });
});
