// What becomes of offers, counted by the built engine over the protocol, and kept from session to session.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ENGINE_COMMANDS, STATISTICS, type Statistics } from "../../engine/protocol.ts";
import { startClient, type TestClient } from "./client.ts";
import { copyWorkspace, type TestWorkspace } from "./workspace.ts";

let workspace: TestWorkspace;
let client: TestClient;

beforeEach(async () => {
  workspace = await copyWorkspace();
  client = await start();
});
afterEach(async () => {
  await client.kill();
  await workspace.remove();
});

async function start(): Promise<TestClient> {
  const started = await startClient({ workspace: workspace.dir, storageDir: workspace.storageDir });
  await started.status(({ state }) => state === "ready");
  return started;
}

function statistics(): Promise<Statistics> {
  return client.connection.sendRequest<Statistics>(STATISTICS, null);
}

/** Offers at the ends of lines of a real file, asked by hand until there is one; answers the text with it taken. */
async function takeOne(): Promise<number> {
  const path = join(workspace.dir, "shop/orders.py");
  const whole = await readFile(path, "utf8");
  const uri = await client.open(path, whole);
  const lines = whole.split("\n");
  for (let line = 5; line < lines.length; line += 1) {
    const before = lines.slice(0, line).join("\n");
    const text = `${before}\n`;
    await client.change(uri, text);
    const [offered] = await client.complete(uri, line, 0);
    if (offered === undefined) continue;
    const inserted = String(offered.insertText);
    await client.change(uri, text + inserted);
    return inserted.length;
  }
  throw new Error("nothing was offered anywhere");
}

it("counts what is taken, keeps it for the next session, forgets it when told", async () => {
  expect((await statistics()).total.shown).toBe(0);
  const characters = await takeOne();
  const counted = await statistics();
  expect(counted.total).toMatchObject({ accepted: 1, characters });
  expect(counted.days).toHaveLength(1);
  expect(counted.days[0]).toMatchObject({ language: "python", accepted: 1 });
  expect(counted.days[0]?.day).toMatch(/^\d{4}-\d{2}-\d{2}$/);

  await client.stop();
  client = await start();
  expect((await statistics()).total).toMatchObject({ accepted: 1, characters });
  expect(await readdir(workspace.storageDir)).toContain("behaviour.json");

  await client.index(ENGINE_COMMANDS.forgetBehaviour);
  expect((await statistics()).total).toMatchObject({ shown: 0, accepted: 0 });
  expect(await readdir(workspace.storageDir)).not.toContain("behaviour.json");
});
