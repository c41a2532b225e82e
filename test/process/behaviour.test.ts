// What becomes of offers, counted by the built engine over the protocol, and kept from session to session.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { DidCloseTextDocumentNotification } from "vscode-languageserver-protocol/node";
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

interface Somewhere {
  readonly uri: string;
  /** The document as it was asked about, the cursor at its end. */
  readonly text: string;
  readonly offered: string;
}

/** Asks by hand at the beginnings of lines of a real file until something is offered. */
async function offerSomewhere(name: string): Promise<Somewhere> {
  const path = join(workspace.dir, "shop", name);
  const whole = await readFile(path, "utf8");
  const uri = await client.open(path, whole);
  const lines = whole.split("\n");
  for (let line = 5; line < lines.length; line += 1) {
    const text = `${lines.slice(0, line).join("\n")}\n`;
    await client.change(uri, text);
    const [offered] = await client.complete(uri, line, 0);
    if (offered !== undefined) return { uri, text, offered: String(offered.insertText) };
  }
  throw new Error("nothing was offered anywhere");
}

/** Characters taken. */
async function takeOne(): Promise<number> {
  const { uri, text, offered } = await offerSomewhere("orders.py");
  await client.change(uri, text + offered);
  return offered.length;
}

/** Longer than an offer must be seen to count as refused. */
const SEEN = 400;

async function refuseOne(name: string): Promise<void> {
  const { uri, text } = await offerSomewhere(name);
  await setTimeout(SEEN);
  await client.change(uri, `${text}@@`);
}

/** What the gate has learned from. */
async function answers(): Promise<number | undefined> {
  return (await statistics()).gate?.answers;
}

it("learns from what is kept and refused, on from session to session, unless told not to", async () => {
  expect(await answers()).toBe(0);
  await takeOne();
  // What stands in a document when it is closed is kept.
  const uri = pathToFileURL(join(workspace.dir, "shop/orders.py")).href;
  await client.connection.sendNotification(DidCloseTextDocumentNotification.type, { textDocument: { uri } });
  expect((await statistics()).total).toMatchObject({ accepted: 1, survived: 1 });
  expect(await answers()).toBe(1);
  await refuseOne("inventory.py");
  expect((await statistics()).total).toMatchObject({ rejected: 1 });
  expect(await answers()).toBe(2);

  await client.stop();
  const { gate } = JSON.parse(await readFile(join(workspace.storageDir, "behaviour.json"), "utf8"));
  expect(gate.shift.answers).toBe(2);
  expect(Object.values<number>(gate.shift.weights).some((weight) => weight !== 0)).toBe(true);
  client = await start();
  expect(await answers()).toBe(2);

  await client.changeSettings({ completion: { learn: false } });
  await expect.poll(answers).toBe(0);
  await refuseOne("orders.py");
  expect((await statistics()).total).toMatchObject({ rejected: 2 });
  expect(await answers()).toBe(0);
  await client.changeSettings({});
  await expect.poll(answers).toBe(2);

  await client.index(ENGINE_COMMANDS.forgetBehaviour);
  expect(await answers()).toBe(0);
});

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
