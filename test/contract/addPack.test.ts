// Packs that a person asks for: from a hub, through a proxy, interrupted and gone on with, and from folders that were copied here.
import { cp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { addInProcess } from "../../engine/addInProcess.ts";
import { parseSettings } from "../../engine/config.ts";
import { startEngine } from "../../engine/engine.ts";
import { listPacks, openPack } from "../../engine/pack/pack.ts";
import {
  FIRST_SHARD,
  FORMAT,
  failure,
  HubFixture,
  ID,
  INSTALLATION,
  NAME,
  PATIENCE,
  SHARD,
  TINY,
} from "./hubFixture.ts";

const TOKEN = "hf_fixture";

let own: HubFixture;
beforeEach(async () => {
  own = await HubFixture.open();
});
afterEach(() => own.close());

describe("a repository of the hub", () => {
  it("becomes a pack that completes, and what was downloaded is gone", async () => {
    const pack = await own.add();
    await own.expectWhole(pack);
    expect(pack.manifest).toMatchObject({ id: NAME, title: ID, quantisation: "q4" });
    const card = await readFile(join(pack.dir, "MODEL_CARD.md"), "utf8");
    expect(card).toMatch(/Tiny\/Coder at [0-9a-f]{40}/);
    expect(await readdir(join(own.dir, "downloads"))).toEqual([]);
    const settings = { ...parseSettings({}).settings, pack: NAME, "execution.providers": ["cpu"] };
    const engine = await startEngine({
      packsDir: INSTALLATION.packsDir,
      preparedDirs: [own.packsDir],
      settings,
      workers: INSTALLATION.workers,
    });
    const text = "def price(parcel):\n    return ";
    const { reason, timings } = await engine.complete(
      { path: "new.py", text, offset: text.length },
      { mode: "none", maxLines: 1 },
    );
    await engine.close();
    expect(reason ?? "offered").not.toMatch(/reader-failed|not-ready/);
    expect(timings.tokens).toBeGreaterThan(0);
  });

  it("is fetched once: another wish finds the pack", async () => {
    await own.add();
    const before = own.hub.requests.length;
    await own.expectWhole(await own.add());
    expect(own.hub.requests.length).toBe(before);
  });

  it("is fetched anew when its pack has been damaged", async () => {
    const { dir: at } = await own.add();
    await truncate(join(at, "reader.onnx.data"), 10);
    await own.expectWhole(await own.add());
  });

  it("is fetched at one commit, with the token at the hub alone", async () => {
    await own.serve({ token: TOKEN });
    await own.expectWhole(await own.add({ hub: { token: TOKEN } }));
    const ofHub = own.hub.requests.filter(({ server }) => server === "hub");
    const ofFiles = own.hub.requests.filter(({ server }) => server === "files");
    expect(ofHub.every(({ headers }) => headers.authorization === `Bearer ${TOKEN}`)).toBe(true);
    expect(ofFiles.length).toBeGreaterThanOrEqual(4);
    expect(ofFiles.filter(({ headers }) => JSON.stringify(headers).includes(TOKEN))).toEqual([]);
    const commits = own.hub.requests.flatMap(({ path }) => /resolve\/([^/]+)/.exec(path)?.[1] ?? []);
    expect(new Set(commits).size).toBe(1);
  });

  it("comes through the proxy that is named, and past it where that is said", async () => {
    const tunnels: string[] = [];
    const proxy = createServer();
    proxy.on("connect", (request, socket) => {
      tunnels.push(request.url ?? "");
      const [host, port] = (request.url ?? "").split(":");
      const onward = connect(Number(port), host, () => {
        socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
        onward.pipe(socket).pipe(onward);
      });
      for (const end of [socket, onward]) end.on("error", () => end.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const bound = proxy.address();
    const address = `http://127.0.0.1:${typeof bound === "object" ? bound?.port : 0}`;
    await own.expectWhole(await own.add({ hub: { proxy: { address, except: "" } } }));
    expect(new Set(tunnels)).toContain(new URL(own.hub.url).host);
    const before = tunnels.length;
    await rm(own.packsDir, { recursive: true });
    await own.expectWhole(await own.add({ hub: { proxy: { address, except: "127.0.0.1" } } }));
    expect(tunnels.length).toBe(before);
    await new Promise((resolve) => {
      proxy.closeAllConnections();
      proxy.close(resolve);
    });
    await rm(own.packsDir, { recursive: true });
    const error = await failure(own.add({ hub: { proxy: { address, except: "" } } }));
    expect(error.code).toBe("HUB_UNREACHABLE");
  });
});

describe("cancelled", () => {
  it("midway, it goes on where it was, also in another process", async () => {
    own.fail(SHARD, { kind: "stall", afterBytes: 20_000 });
    const aborter = new AbortController();
    const adding = own.add({
      signal: aborter.signal,
      hub: { patience: { ...PATIENCE, stallMs: 60_000 } },
    });
    const part = async () => (await stat(join(own.dir, "downloads", NAME, await commitDir(), `${SHARD}.part`))).size;
    await expect.poll(() => part().catch(() => 0), { timeout: 10_000 }).toBe(20_000);
    aborter.abort();
    await expect(adding).rejects.toBe(aborter.signal.reason);
    await own.expectNothing();
    const job = {
      kind: "pack" as const,
      source: ID,
      packsDir: own.packsDir,
      bundledDir: INSTALLATION.packsDir,
      ...FORMAT,
      hub: { endpoint: own.hub.url },
    };
    const { name } = await addInProcess(INSTALLATION.adder, job, {
      onProgress: () => {},
      signal: new AbortController().signal,
    });
    expect(name).toBe(NAME);
    await own.expectWhole(await openPack(join(own.dir, "packs", NAME)));
    expect(own.hub.rangesOf(SHARD)).toEqual([undefined, "bytes=20000-"]);
    expect(own.hub.rangesOf(FIRST_SHARD)).toHaveLength(1);
  });

  it("the process that does it ends at once, leaves no half pack and no lock", async () => {
    own.fail(SHARD, { kind: "stall", afterBytes: 20_000 });
    const aborter = new AbortController();
    const job = {
      kind: "pack" as const,
      source: ID,
      packsDir: own.packsDir,
      bundledDir: INSTALLATION.packsDir,
      ...FORMAT,
      hub: { endpoint: own.hub.url },
    };
    const adding = addInProcess(INSTALLATION.adder, job, {
      onProgress: ({ message }) => own.said.push(message),
      signal: aborter.signal,
    });
    await expect.poll(() => own.hub.rangesOf(SHARD).length, { timeout: 20_000 }).toBe(1);
    const other = await failure(own.add());
    expect(other.code).toBe("DOWNLOAD_RUNNING");
    aborter.abort();
    await expect(adding).rejects.toBe(aborter.signal.reason);
    await own.expectNothing();
    await own.expectWhole(await own.add());
  });

  it("what a dead process left of a pack is no pack, and is swept", async () => {
    const dead = join(own.dir, "packs", `${NAME}.partial-999999999`);
    await cp(own.companion.dir, dead, { recursive: true });
    expect(await listPacks(own.packsDir)).toEqual([]);
    await own.add();
    expect(await readdir(own.packsDir)).toEqual([NAME]);
  });
});

describe("a folder that was copied here", () => {
  it("with a checkpoint becomes a pack; a second one of that name gets another", async () => {
    const copy = join(own.dir, "copied");
    await cp(TINY, copy, { recursive: true });
    await own.expectWhole(await own.add({ source: copy }));
    await own.add({ source: copy });
    expect(await listPacks(own.packsDir)).toEqual(["copied", "copied-2"]);
    expect(own.hub.requests).toEqual([]);
  });

  it("with a pack is verified and copied once", async () => {
    const pack = await own.add({ source: own.companion.dir });
    expect(pack.manifest).toEqual(own.companion.manifest);
    expect((await own.add({ source: own.companion.dir })).dir).toBe(pack.dir);
  });

  it("with a damaged pack is refused", async () => {
    const copy = join(own.dir, "damaged");
    await cp(own.companion.dir, copy, { recursive: true });
    const file = join(copy, own.companion.manifest.tokenizer.file);
    const bytes = await readFile(file);
    bytes[100] = 255 - (bytes[100] as number);
    await writeFile(file, bytes);
    expect((await failure(own.add({ source: copy }))).code).toBe("PACK_CORRUPT");
    await own.expectNothing();
  });

  it("with neither is refused, and so is a word that is no repository", async () => {
    expect((await failure(own.add({ source: own.dir }))).code).toBe("CHECKPOINT_INVALID");
    await own.expectNothing();
    expect((await failure(own.add({ source: "nowhere" }))).code).toBe("USAGE");
    expect((await failure(own.add({ source: "../x/y" }))).code).toBe("USAGE");
  });
});

async function commitDir(): Promise<string> {
  const names = await readdir(join(own.dir, "downloads", NAME));
  return names.find((name) => name !== "lock") ?? "";
}
