// Packs from a hub, over a network that fails in every way we know: each fault is survived, or named with what to do, and none
// leaves a pack that loads wrongly.
import { execFile } from "node:child_process";
import { cp, mkdir, readFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ENGINE_ERRORS } from "../../engine/errors.ts";
import type { HubFault } from "../hubServer.ts";
import { FIRST_SHARD, failure, HubFixture, ID, PATIENCE, SHARD, TINY } from "./hubFixture.ts";

const CLI = fileURLToPath(new URL("../../engine/cli.ts", import.meta.url));
const TLS = fileURLToPath(new URL("../fixtures/tls", import.meta.url));
const IMPATIENT = { ...PATIENCE, stallMs: 1000 };

let own: HubFixture;
beforeEach(async () => {
  own = await HubFixture.open();
});
afterEach(() => own.close());

describe("survives", () => {
  const rest = (bytes: number) => `bytes=${bytes}-`;
  const cut = (...bytes: readonly number[]) => bytes.map((afterBytes): HubFault => ({ kind: "truncated", afterBytes }));
  const survived: readonly (readonly [string, string, readonly HubFault[], readonly (string | undefined)[]])[] = [
    ["a body that ends too early", SHARD, cut(5000), [undefined, rest(5000)]],
    [
      "one that does so again and again, as long as bytes come",
      SHARD,
      cut(1000, 2000, 3000, 4000, 5000),
      [undefined, rest(1000), rest(3000), rest(6000), rest(10_000), rest(15_000)],
    ],
    [
      "a server that sends everything when a part was asked for",
      SHARD,
      [...cut(1000), { kind: "wholeOnly" }],
      [undefined, rest(1000)],
    ],
    [
      "a server that sends another part than was asked for",
      SHARD,
      [...cut(1000), { kind: "otherPart" }],
      [undefined, rest(1000), undefined],
    ],
    ["a byte that is another, once", SHARD, [{ kind: "damaged" }], [undefined, undefined]],
    ["a slow link", SHARD, [{ kind: "slow", pauseMs: 50 }], [undefined]],
    ["a server that fails twice", SHARD, [500, 503].map((status) => ({ kind: "status", status })), [undefined]],
    ["a small file that is cut", "config.json", cut(10), [undefined, rest(10)]],
    ["a hub that lists nothing at first", "/revision/HEAD", [{ kind: "status", status: 502 }], []],
  ];
  it.each(survived)("%s", async (_, name, faults, ranges) => {
    own.fail(name, ...faults);
    await own.expectWhole(await own.add());
    expect(own.hub.rangesOf(name)).toEqual(ranges);
    expect(own.hub.faults.get(name)).toEqual([]);
  });

  // How much of what was sent has been read when the end comes is not for a test to say.
  it.each([
    ["a connection that breaks", { kind: "reset", afterBytes: 30_000 }],
    ["a body that stalls", { kind: "stall", afterBytes: 30_000 }],
  ] as const)("%s", async (_, fault) => {
    own.fail(SHARD, fault);
    await own.expectWhole(
      await own.add({ hub: { patience: fault.kind === "stall" ? { ...IMPATIENT, attempts: 10 } : PATIENCE } }),
    );
    expect(own.hub.rangesOf(SHARD).length).toBeGreaterThanOrEqual(2);
  });

  it("being told to wait, and tells so", async () => {
    own.fail(SHARD, { kind: "status", status: 429, headers: { "retry-after": "1" }, body: '{"error":"rate limit"}' });
    await own.add();
    expect(own.said.join("\n")).toMatch(/waiting 1 s \(HUB_BUSY: .*answered 429: rate limit\)/);
  });
});

describe("names, leaves no pack, and goes on later", () => {
  const tooOften = (fault: HubFault) => Array.from({ length: PATIENCE.attempts }, () => fault);
  const status = (code: number, headers: Record<string, string> = {}): HubFault => ({
    kind: "status",
    status: code,
    headers,
  });
  const named: readonly (readonly [string, string, readonly HubFault[], string, RegExp])[] = [
    ["a missing token", "/revision/HEAD", [status(401)], "HUB_TOKEN", /401/],
    ["terms that were not accepted", "config.json", [status(403)], "HUB_GATED", /403/],
    ["a repository that is not there", "/revision/HEAD", [status(404)], "HUB_MISSING", /Tiny\/Coder/],
    ["a file that is gone", SHARD, [status(404)], "HUB_MISSING", /00002/],
    ["a server that never has time", SHARD, tooOften(status(503)), "HUB_BUSY", /503/],
    ["a pause too long to wait", SHARD, [status(429, { "retry-after": "86400" })], "HUB_BUSY", /wait 86400 s/],
    ["another status", SHARD, [status(418)], "HUB_FAILED", /418/],
    ["bytes that are wrong twice", SHARD, [{ kind: "damaged" }, { kind: "damaged" }], "HUB_DAMAGED", /sha256/],
    [
      "a small file that is wrong twice",
      "config.json",
      [{ kind: "damaged" }, { kind: "damaged" }],
      "HUB_DAMAGED",
      /git/,
    ],
    ["a file longer than listed", SHARD, [{ kind: "longer" }], "HUB_DAMAGED", /longer than the 75856/],
    [
      "a body that stalls for ever",
      SHARD,
      tooOften({ kind: "stall", afterBytes: 0 }),
      "HUB_UNREACHABLE",
      /BODY_TIMEOUT/,
    ],
    [
      "a way that leads in a circle",
      "config.json",
      [
        { kind: "redirect", to: "config.json" },
        ...Array.from({ length: 12 }, (): HubFault => ({ kind: "redirect", to: "?" })),
      ],
      "HUB_FAILED",
      /redirected more than/,
    ],
    [
      "a page of a network that wants a login",
      "/revision/HEAD",
      [{ kind: "status", status: 200, headers: { "content-type": "text/html" }, body: "<html>Welcome</html>" }],
      "HUB_FAILED",
      /no list of files/,
    ],
  ];
  it.each(named)("%s", async (_, name, faults, code, message) => {
    own.fail(name, ...faults);
    const isStalling = faults[0]?.kind === "stall";
    const error = await failure(own.add({ hub: { patience: isStalling ? IMPATIENT : PATIENCE } }));
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
    expect(error.action).toMatch(/\w{3,}/);
    await own.expectNothing();
    own.hub.faults.clear();
    await own.expectWhole(await own.add());
  });

  it("a hub that is not there", async () => {
    const error = await failure(own.add({ hub: { endpoint: "http://127.0.0.1:9" } }));
    expect(error.code).toBe("HUB_UNREACHABLE");
    expect(error.action).toContain("proxy");
    await own.expectNothing();
  });

  it("a certificate that nobody vouches for", async () => {
    const [key, cert] = await Promise.all(["key.pem", "certificate.pem"].map((name) => readFile(join(TLS, name))));
    const server = createTlsServer({ key, cert }, (_, response) => response.end("{}"));
    const error = await failure(own.add({ hub: { endpoint: `https://127.0.0.1:${await listen(server)}` } }));
    server.close();
    expect(error).toMatchObject({ code: "HUB_UNTRUSTED", message: expect.stringMatching(/SELF_SIGNED|UNABLE_TO/) });
    expect(error.action).toContain("NODE_EXTRA_CA_CERTS");
  });

  it("a proxy that wants a password", async () => {
    const proxy = createServer();
    proxy.on("connect", (_, socket) => socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"));
    const address = `http://127.0.0.1:${await listen(proxy)}`;
    const error = await failure(own.add({ hub: { proxy: { address, except: "" } } }));
    proxy.close();
    expect(error).toMatchObject({
      code: "HUB_UNREACHABLE",
      message: expect.stringMatching(/wants a name and a password/),
    });
    await own.expectNothing();
  });

  it("a list that leads to another host, which is not told the token", async () => {
    await own.serve({ token: "hf_secret" });
    const told: string[] = [];
    const other = createServer(({ headers }, response) => {
      told.push(JSON.stringify(headers));
      response.end("[]");
    });
    const next = `<http://127.0.0.1:${await listen(other)}/next>; rel="next"`;
    const headers = { authorization: "Bearer hf_secret" };
    const info = await fetch(`${own.hub.url}/api/models/${ID}/revision/HEAD`, { headers });
    const { sha } = (await info.json()) as { sha: string };
    own.fail(`/tree/${sha}`, { kind: "status", status: 200, headers: { link: next }, body: "[]" });
    const error = await failure(own.add({ hub: { token: "hf_secret" } }));
    other.close();
    expect(error.code).toBe("CHECKPOINT_UNSUPPORTED");
    expect(told).toHaveLength(1);
    expect(told.join()).not.toContain("hf_secret");
  });

  it("an address that is none", async () => {
    expect((await failure(own.add({ hub: { endpoint: "hub" } }))).code).toBe("HUB_FAILED");
  });

  it("a file that became another one meanwhile, and takes the new publication next time", async () => {
    own.fail(SHARD, { kind: "truncated", afterBytes: 1000 }, { kind: "changed" });
    // The second request wants a part of what no longer is; what it gets has another hash, and so has all that comes later.
    expect((await failure(own.add())).code).toBe("HUB_DAMAGED");
    await own.expectNothing();
    const original = await readFile(join(TINY, SHARD));
    own.hub.publish(ID, SHARD, original);
    own.hub.publish(ID, "README.md", Buffer.from("---\nlicense: mit\n---\n"));
    const pack = await own.add();
    await own.expectWhole(pack);
    expect(pack.manifest.licence).toBe("mit");
  });

  it("another architecture, before the weights come", async () => {
    const config = JSON.parse(await readFile(join(TINY, "config.json"), "utf8"));
    own.hub.publish(ID, "config.json", Buffer.from(JSON.stringify({ ...config, architectures: ["LlamaForCausalLM"] })));
    expect(await failure(own.add())).toMatchObject({ code: "CHECKPOINT_UNSUPPORTED" });
    expect(own.hub.rangesOf(SHARD)).toEqual([]);
  });

  it("a repository without weights in safetensors", async () => {
    const bare = join(own.dir, "bare");
    await mkdir(bare);
    await cp(join(TINY, "config.json"), join(bare, "config.json"));
    await own.serve({ folder: bare });
    const error = await failure(own.add());
    expect(error).toMatchObject({ code: "CHECKPOINT_UNSUPPORTED", message: expect.stringContaining("tokenizer.json") });
  });

  it("more than the disk has room for, before the weights come", async () => {
    own.hub.claim(ID, SHARD, 1e17);
    expect(await failure(own.add())).toMatchObject({ code: "DISK_FULL", message: expect.stringMatching(/takes \d+/) });
    await own.expectNothing();
    expect(own.hub.rangesOf(FIRST_SHARD)).toEqual([]);
  });

  // Windows has no `ulimit`.
  it.skipIf(process.platform === "win32")("a full disk, and goes on when there is room", async () => {
    const packs = own.packsDir;
    const command = `ulimit -f 100; exec "${process.execPath}" "${CLI}" packs add ${ID} --hub ${own.hub.url} --into "${packs}"`;
    const run = await promisify(execFile)("sh", ["-c", command]).catch(
      (error: { code: number; stderr: string }) => error,
    );
    expect(run).toMatchObject({ code: 1 });
    expect(run.stderr).toMatch(/^DISK_FULL: /m);
    await own.expectNothing();
    const before = own.hub.rangesOf(FIRST_SHARD).length;
    await own.expectWhole(await own.add());
    expect(own.hub.rangesOf(FIRST_SHARD).slice(before)).not.toContain(undefined);
  });
});

it("every error of the hub says what to do", () => {
  const codes = Object.entries(ENGINE_ERRORS).filter(([code]) => code.startsWith("HUB_"));
  expect(codes.length).toBeGreaterThanOrEqual(7);
  for (const [, { action }] of codes) expect(action.length).toBeGreaterThan(30);
});

/** The port. */
async function listen(server: Pick<Server, "listen" | "address">): Promise<number> {
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  return (server.address() as AddressInfo).port;
}
