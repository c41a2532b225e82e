// The engine with its reader on a server, as an editor and as the command line meet it.
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { LogMessageParams } from "vscode-languageserver-protocol/node";
import { loadTokenizer, type Tokenizer } from "../../engine/infer/tokenizer.ts";
import { findPack, openPack } from "../../engine/pack/pack.ts";
import { READER_KEY, type ReaderKey } from "../../engine/protocol.ts";
import { type ReaderServer, type ReaderServerOptions, startReaderServer } from "../readerServer.ts";
import { startClient, type TestClient } from "./client.ts";
import { copyWorkspace, type TestWorkspace } from "./workspace.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const KEY = "sk-keep-this-to-yourself";
const TEXT = `from shop.inventory import Inventory


class Exchange:
    def __init__(self, inventory: Inventory) -> None:
        self.inventory = `;

let workspace: TestWorkspace;
let tokenizer: Tokenizer;
let server: ReaderServer;
let client: TestClient | undefined;

beforeEach(async () => {
  workspace = await copyWorkspace();
  const pack = await openPack(await findPack("auto", join(ROOT, "packs")));
  tokenizer = await loadTokenizer(join(pack.dir, pack.manifest.tokenizer.file));
});
afterEach(async () => {
  await client?.kill();
  client = undefined;
  await server.close();
  await workspace.remove();
});

async function serve(options: Partial<ReaderServerOptions> = {}): Promise<void> {
  const write = async () =>
    tokenizer
      .encode("inventory\n")
      .map((id) => ({ id, text: tokenizer.decode([id]), logProb: -0.01, second: -6, runnerUp: 9 }));
  server = await startReaderServer({ dialect: "vllm", tokenizer, write, ...options });
}

async function connect(settings: Record<string, unknown>): Promise<{ client: TestClient; logged: string[] }> {
  const started = await startClient({ workspace: workspace.dir, storageDir: workspace.storageDir, settings });
  client = started;
  const logged: string[] = [];
  started.connection.onNotification("window/logMessage", ({ message }: LogMessageParams) => {
    logged.push(message);
  });
  return { client: started, logged };
}

const isReady = (status: { state: string }) => status.state === "ready";

it("completes with the key of that server alone, says where the reader runs, and keeps the key to itself", async () => {
  await serve({ key: KEY });
  const endpoint = server.url;
  const host = new URL(endpoint).host;
  const { client, logged } = await connect({ mode: "compressed", reader: { endpoint } });
  const ready = await client.status(isReady);
  expect(ready.execution).toEqual({ provider: "cpu", isLoaded: true, remote: { host, model: null, problem: null } });
  // Indexing asks nothing of the server.
  expect(server.seen).toEqual([]);
  const uri = await client.open(join(workspace.dir, "shop/exchange.py"), TEXT);
  const tell = (key: ReaderKey) => client.connection.sendNotification(READER_KEY, key);
  const ask = () => client.complete(uri, 5, 25);

  expect(await ask()).toEqual([]);
  const refused = await client.status((status) => status.last?.reason !== undefined);
  expect(refused.last?.reason).toBe("reader-failed(ENDPOINT_KEY)");
  expect(refused.execution?.remote?.problem).toMatch(/ENDPOINT_KEY.*401.*Set Reader Endpoint Key/);
  expect(await client.explain()).toMatch(/reader's server did not answer[^\n]*Set Reader Endpoint Key/);
  await tell({ origin: "http://127.0.0.1:1", key: KEY });
  expect(await ask()).toEqual([]);
  expect(server.seen.filter(({ headers }) => headers.authorization !== undefined)).toEqual([]);

  await tell({ origin: new URL(endpoint).origin, key: KEY });
  expect(await ask()).toMatchObject([{ insertText: "inventory" }]);
  const shown = await client.status((status) => status.execution?.remote?.model === "coder");
  expect(shown.execution?.remote).toEqual({ host, model: "coder", problem: null });
  // Without --enable-prompt-embeds.
  expect(shown.last?.mode).toBe("full");
  expect(await client.explain()).toMatch(/MODE_FELL_BACK.*enable-prompt-embeds/);
  const said = [client.errors(), ...logged, JSON.stringify(client.statuses)].join("\n");
  expect(said).not.toContain(KEY);

  const asked = server.seen.length;
  await client.changeSettings({ mode: "full" });
  const local = await client.status((status) => isReady(status) && status.execution?.remote === undefined);
  expect(local.execution?.provider).toBe("cpu");
  await ask();
  expect(server.seen).toHaveLength(asked);
});

it("hears no more of a request that another takes the place of", async () => {
  await serve({ dialect: "llama.cpp", tokenMs: 100, write: async () => [] });
  const { client } = await connect({ mode: "none", reader: { endpoint: server.url } });
  await client.status(isReady);
  const uri = await client.open(join(workspace.dir, "shop/exchange.py"), TEXT);
  server.faults.push({ kind: "slow", ms: 60_000 });
  const first = client.complete(uri, 5, 25);
  while (server.completions().length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  await client.complete(uri, 3, 6);
  expect(await first).toEqual([]);
  while (server.disconnects === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  await client.stop();
});

it("is not started with an address that is none", async () => {
  await serve();
  const { client } = await connect({ reader: { endpoint: "gpu:8000" } });
  const failed = await client.status(({ state }) => state === "error");
  expect(failed.message).toMatch(/ENDPOINT_INVALID.*Set precis.reader.endpoint/);
  await client.changeSettings({ reader: { endpoint: server.url } });
  expect(await client.status(isReady)).toMatchObject({ execution: { remote: { problem: null } } });
});

it("trusts a server's certificate when told of its authority", async () => {
  const certificate = join(ROOT, "test/fixtures/tls/certificate.pem");
  const [cert, key] = await Promise.all([
    readFile(certificate, "utf8"),
    readFile(join(ROOT, "test/fixtures/tls/key.pem"), "utf8"),
  ]);
  await serve({ tls: { key, cert }, key: KEY });
  const refused = await doctor({});
  expect(refused.status).toBe(1);
  expect(refused.endpoint).toMatchObject({ ok: false, fix: expect.stringContaining("NODE_EXTRA_CA_CERTS") });
  expect(refused.endpoint?.detail).toMatch(/ENDPOINT_UNTRUSTED/);
  const trusted = await doctor({ NODE_EXTRA_CA_CERTS: certificate });
  expect(trusted.stdout).toMatch(/vLLM answered in \d+ ms and lists coder; it has the pack's tokenizer/);
  expect(trusted.stdout).not.toContain(KEY);
  expect(trusted.status).toBe(0);
});

interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}

function doctor(environment: Record<string, string>): Promise<{ status: number; stdout: string; endpoint?: Check }> {
  const args = [join(ROOT, "dist/cli.js"), "doctor", "--json", "--endpoint", server.url];
  const env = { ...process.env, PRECIS_READER_KEY: KEY, ...environment };
  return new Promise((resolve) => {
    execFile(process.execPath, args, { env }, (error, stdout) => {
      const { checks } = JSON.parse(stdout) as { checks: Check[] };
      const endpoint = checks.find(({ name }) => name === "reader endpoint");
      resolve({ status: error === null ? 0 : 1, stdout, ...(endpoint === undefined ? {} : { endpoint }) });
    });
  });
}
