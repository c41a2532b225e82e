import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { startClient, type TestClient, type TestClientOptions } from "./client.ts";
import { copyWorkspace, type TestWorkspace } from "./workspace.ts";

let workspace: TestWorkspace;
let clients: TestClient[];

beforeEach(async () => {
  workspace = await copyWorkspace();
  clients = [];
});
afterEach(async () => {
  for (const client of clients) await client.kill();
  await workspace.remove();
});

async function start(options: Partial<TestClientOptions> = {}): Promise<TestClient> {
  const client = await startClient({ workspace: workspace.dir, storageDir: workspace.storageDir, ...options });
  clients.push(client);
  return client;
}

const READY = { state: "ready" } as const;
const isReady = (status: { state: string }) => status.state === READY.state;

/** A new module that repeats what other modules do, cursor at the end. */
const HALF_WRITTEN = `from shop.inventory import Inventory
from shop.money import Money


class Exchange:
    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self.total = `;

describe("the engine as a language server", () => {
  it("indexes, becomes ready and completes in every mode", async () => {
    const client = await start();
    const ready = await client.status(isReady);
    expect(ready.index).toMatchObject({ files: 5, readOnly: false });
    expect(ready.execution).toEqual({ provider: "cpu", isLoaded: true });
    expect(ready.index.chunks).toBeGreaterThanOrEqual(4);
    expect(ready.pack?.modes).toEqual(["none", "full", "compressed"]);
    expect(ready).toMatchObject({ modeChoice: "auto", mode: "compressed" });
    const path = join(workspace.dir, "shop/exchange.py");
    const uri = await client.open(path, HALF_WRITTEN);
    const lines = HALF_WRITTEN.split("\n");
    for (const mode of ["none", "full", "compressed"] as const) {
      await client.changeSettings({ mode });
      await client.status((status) => status.mode === mode);
      const items = await client.complete(uri, lines.length - 1, lines.at(-1)?.length ?? 0);
      const shown = await client.status((status) => status.last?.mode === mode);
      expect(items.length > 0 || shown.last?.reason !== undefined, `${mode}: an item or a reason`).toBe(true);
      const account = await client.explain();
      expect(account).toContain(`mode **${mode}**`);
      if (mode === "full") expect(account).toMatch(/\[shop\/(orders|returns)\.py:\d+–\d+\]\(\S+\) \| chunk/);
      if (mode === "compressed") expect(account).toMatch(/names and around the cursor(?!.* 0 pseudo-tokens)/);
    }
  });

  it("offers nothing and says off when disabled", async () => {
    const client = await start({ settings: { enabled: false } });
    await client.status((status) => status.state === "off");
    const uri = await client.open(join(workspace.dir, "shop/exchange.py"), HALF_WRITTEN);
    expect(await client.complete(uri, 7, 21)).toEqual([]);
    await client.changeSettings({ enabled: true });
    await client.status(isReady);
  });

  it("reports progress of a re-index from begin to end", async () => {
    const client = await start();
    await client.status(isReady);
    const kinds: string[] = [];
    await client.reindex((kind) => kinds.push(kind));
    expect(kinds[0]).toBe("begin");
    expect(kinds.at(-1)).toBe("end");
    expect(client.statuses.at(-1)).toMatchObject({ state: "ready", percent: 100, index: { files: 5 } });
  });

  it("keeps the index when a re-index is cancelled", async () => {
    for (let n = 0; n < 60; n += 1)
      await writeFile(join(workspace.dir, `module_${n}.py`), `def function_${n}(value):\n    return value + ${n}\n`);
    const client = await start();
    await client.status(isReady);
    const cancel = new AbortController();
    await client.reindex((kind) => {
      if (kind === "begin") cancel.abort();
    }, cancel.signal);
    const after = await client.status((status) => status.message.includes("cancelled"));
    expect(after.state).toBe("ready");
    await client.reindex(() => {});
    expect(client.statuses.at(-1)).toMatchObject({ state: "ready", index: { files: 65 } });
  });

  it("leaves a store that the next process uses, after a kill", async () => {
    const first = await start();
    const { index } = await first.status(isReady);
    await first.kill();
    const second = await start();
    const again = await second.status(isReady);
    expect(again.index).toMatchObject({ files: index.files, chunks: index.chunks, nodes: index.nodes });
  });

  it("reads the index of a workspace that another window writes, and takes over when it closes", async () => {
    const first = await start();
    const { index } = await first.status(isReady);
    const second = await start();
    const reading = await second.status(isReady);
    expect(reading.index).toMatchObject({ readOnly: true, files: index.files });
    const uri = await second.open(join(workspace.dir, "shop/exchange.py"), HALF_WRITTEN);
    await second.complete(uri, 7, 21);
    expect((await second.status((status) => status.last !== null)).last).not.toBeNull();
    await first.stop();
    await second.reindex(() => {});
    expect(second.statuses.at(-1)?.index.readOnly).toBe(false);
  });

  it("follows unsaved text and files that come and go", async () => {
    const client = await start();
    const { index } = await client.status(isReady);
    const uri = await client.open(join(workspace.dir, "shop/money.py"));
    await client.change(uri, "def only_in_the_buffer():\n    return 1\n".repeat(40));
    await writeFile(join(workspace.dir, "shop/fresh.py"), "def fresh():\n    return 2\n");
    await rm(join(workspace.dir, "shop/returns.py"));
    await client.connection.sendNotification("workspace/didChangeWatchedFiles", { changes: [{ uri, type: 2 }] });
    const after = await client.status((status) => isReady(status) && status.index.chunks > index.chunks);
    expect(after.index.files).toBe(5);
  });

  it("takes up other patterns to leave out", async () => {
    const client = await start();
    await client.status(isReady);
    await client.changeSettings({ index: { exclude: ["orders.py", "returns.py"] } });
    const fewer = await client.status((status) => isReady(status) && status.index.files === 3);
    expect(fewer.index.skipped).toMatchObject({ ignored: 2 });
    await client.changeSettings({});
    await client.status((status) => isReady(status) && status.index.files === 5);
  });

  it("answers at once for a cursor beyond the text, an unknown document and one outside the folder", async () => {
    const client = await start();
    await client.status(isReady);
    const uri = await client.open(join(workspace.dir, "shop/exchange.py"), "x = 1\n");
    expect(await client.complete(uri, 999, 999)).toBeInstanceOf(Array);
    expect(await client.complete("file:///nowhere/at/all.py", 0, 0)).toEqual([]);
    const outside = await client.open("/outside/of/it.py", "import os\n\ndef read(path):\n    return ");
    expect(await client.complete(outside, 3, 11)).toBeInstanceOf(Array);
    const virtual = "untitled:Untitled-1";
    await client.connection.sendNotification("textDocument/didOpen", {
      textDocument: { uri: virtual, languageId: "python", version: 1, text: "x = " },
    });
    expect(await client.complete(virtual, 0, 4)).toBeInstanceOf(Array);
  });

  it("counts UTF-16 before the cursor", async () => {
    const client = await start();
    await client.status(isReady);
    const text = 'emoji = "😀𝒳日本"\nvalue = emoji.';
    const uri = await client.open(join(workspace.dir, "astral.py"), text);
    const [item] = await client.complete(uri, 1, 14);
    if (item?.range !== undefined) expect(item.range.start).toEqual({ line: 1, character: 14 });
    expect(await client.explain()).toContain("[astral.py:2:15](astral.py#L2)");
  });

  it("ends cleanly on shutdown and exit", async () => {
    const client = await start();
    await client.status(isReady);
    await client.stop();
    expect(await client.exited).toBe(0);
  });

  it("speaks the same through the command line", async () => {
    const client = await start({ command: [join(import.meta.dirname, "../../dist/cli.js"), "lsp", "--stdio"] });
    expect((await client.status(isReady)).index.files).toBe(5);
    await client.stop();
    expect(await client.exited).toBe(0);
  });
});

describe("a broken pack", () => {
  it("is named in the status, and the process stays", async () => {
    const client = await start({ settings: { pack: "no-such-pack" } });
    const status = await client.status(({ state }) => state === "error");
    expect(status.message).toContain("PACK_MISSING");
    expect(status.message).toContain("precis.pack");
    const uri = await client.open(join(workspace.dir, "shop/exchange.py"), HALF_WRITTEN);
    expect(await client.complete(uri, 7, 21)).toEqual([]);
    await client.changeSettings({});
    await client.status(isReady);
    expect((await client.status((now) => isReady(now) && now.index.files === 5)).pack).not.toBeNull();
  });
});
