// Every file under infer/providers/ keeps the same promises.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chooseProviders, probeApart, surveyProviders } from "../../engine/infer/chooseProviders.ts";
import { probeProvider } from "../../engine/infer/probe.ts";
import { loadProvider } from "../../engine/infer/provider.ts";
import { openRuntime } from "../../engine/infer/runtime.ts";
import { openSession } from "../../engine/infer/session.ts";
import { findPack, openPack, type Pack, type PackManifest } from "../../engine/pack/pack.ts";

const FOLDER = fileURLToPath(new URL("../../engine/infer/providers", import.meta.url));
const PACKS = fileURLToPath(new URL("../../packs", import.meta.url));
const NAMES = readdirSync(FOLDER).map((file) => file.replace(/\.ts$/, ""));
const probeUrl = new URL("../../engine/infer/probeProcess.ts", import.meta.url);
const crashing = new URL("../fixtures/crashingProbe.mjs", import.meta.url);
const answering = new URL("../fixtures/answeringProbe.mjs", import.meta.url);
const silent = new URL("../fixtures/silentProbe.mjs", import.meta.url);

function projectorOf({ manifest }: Pack): NonNullable<PackManifest["projector"]> {
  if (manifest.projector === undefined) throw new Error(`${manifest.id} has no projector`);
  return manifest.projector;
}

let cacheDir: string;
beforeAll(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), "precis-providers-"));
});
afterAll(() => rm(cacheDir, { recursive: true, force: true }));

describe.each(NAMES)("%s", (name) => {
  it("is registered under its file's name, and says in a process of its own what it runs or why it cannot", async () => {
    expect(await loadProvider(name)).toMatchObject({ name, needs: expect.stringMatching(/\w/) });
    const probe = await probeApart(name, { probeUrl });
    expect(probe.provider).toBe(name);
    if (probe.runs.length > 0) expect(probe.detail).toMatch(/^runs the reader's operators: float/);
    else expect(probe.detail).not.toMatch(/^(runs|it ended|no answer)|probe\.onnx/);
  });

  it("runs a graph of the pack, or the CPU takes over and says so", async () => {
    const pack = await openPack(await findPack("auto", PACKS));
    const { providers } = await chooseProviders([name], { probeUrl, pack, threads: 1 });
    // Without an adapter the provider is tried all the same, to see the second net; with one it must work.
    const { runtime } = await openRuntime([name], 1);
    const { vectorDim, perNode, readerDim, file } = projectorOf(pack);
    const { session, problems } = await openSession(join(pack.dir, file), { ...runtime, inputs: [], outputs: [] });
    expect(session.provider).toBe(providers.includes(name) ? name : "cpu");
    if (session.provider === name) expect(problems).toEqual([]);
    else expect(problems).toMatchObject([{ code: "PROVIDER_FELL_BACK", detail: expect.stringContaining(name) }]);
    const { pseudo_tokens } = await session.run({
      vectors: { data: new Float32Array(vectorDim).fill(0.1), dims: [1, vectorDim] },
    });
    expect(pseudo_tokens?.dims).toEqual([1, perNode, readerDim]);
    await session.close();
  });
});

it("the CPU runs every kind of graph to the numbers of plain arithmetic", async () => {
  const cpu = await loadProvider("cpu");
  if (cpu === undefined) throw new Error("no CPU");
  expect((await probeProvider(cpu)).runs).toHaveLength(4);
});

describe("the choice", () => {
  it("asks in order, keeps what answers, gives the reason for the rest, and ends with the CPU", async () => {
    const pack = await openPack(await findPack("auto", PACKS));
    const options = { probeUrl, cacheDir, pack, threads: 1 };
    const { providers, problems } = await chooseProviders(["abacus", "cpu", "webgpu"], options);
    expect(providers).toEqual(["cpu"]);
    expect(problems).toMatchObject([{ code: "PROVIDER_FELL_BACK", detail: expect.stringMatching(/^abacus: /) }]);
  });

  it("takes the fastest of those that wrote the same as the CPU for `auto`, and the CPU before any was tried", async () => {
    const pack = await openPack(await findPack("auto", PACKS));
    const options = { probeUrl: answering, cacheDir: join(cacheDir, "auto"), pack, threads: 1 };
    expect((await chooseProviders(["auto"], options)).providers).toEqual(["cpu"]);
    const { probes, trials } = await surveyProviders(options);
    expect(probes.map(({ runs }) => runs.length)).toEqual([1, 0, 1, 1]);
    expect(trials.map(({ provider }) => provider)).toEqual(["cuda", "coreml", "webgpu"]);
    const { providers, opened } = await chooseProviders(["auto"], options);
    expect(providers).toEqual(["webgpu", "coreml", "cpu"]);
    await opened();
  });

  it("lays a crash while the sessions open at the door of the provider they were opened with", async () => {
    const pack = await openPack(await findPack("auto", PACKS));
    const options = { probeUrl: answering, cacheDir: join(cacheDir, "opening"), pack, threads: 1 };
    expect((await chooseProviders(["webgpu"], options)).providers).toEqual(["webgpu", "cpu"]);
    const file = join(options.cacheDir, "providers.json");
    const memory = JSON.parse(await readFile(file, "utf8"));
    expect(memory.opening).toEqual({ provider: "webgpu", pid: process.pid });
    const gone = spawnSync(process.execPath, ["--version"]).pid;
    await writeFile(file, JSON.stringify({ ...memory, opening: { provider: "webgpu", pid: gone } }));
    const { providers, problems } = await chooseProviders(["webgpu"], options);
    expect(providers).toEqual(["cpu"]);
    expect(problems).toMatchObject([{ detail: expect.stringContaining("the engine ended while it opened") }]);
  });

  it("survives a provider that ends its process, remembers it, and asks again when told to", async () => {
    const crash = await probeApart("webgpu", { probeUrl: crashing, cacheDir });
    expect(crash).toMatchObject({ runs: [], detail: expect.stringContaining("SIGABRT") });
    expect(await probeApart("webgpu", { probeUrl: silent, cacheDir })).toEqual(crash);
    const late = await probeApart("webgpu", { probeUrl: silent, cacheDir, isFresh: true, timeoutMs: 300 });
    expect(late).toMatchObject({ runs: [], detail: "no answer within 0.3 s" });
  });

  it("forgets what was remembered under other drivers, and what cannot be read", async () => {
    const file = join(cacheDir, "providers.json");
    await probeApart("webgpu", { probeUrl: crashing, cacheDir, isFresh: true });
    const memory = JSON.parse(await readFile(file, "utf8"));
    for (const text of [JSON.stringify({ ...memory, fingerprint: "of another driver" }), "{"]) {
      await writeFile(file, text);
      const { detail } = await probeApart("webgpu", { probeUrl: silent, cacheDir, timeoutMs: 300 });
      expect(detail).toBe("no answer within 0.3 s");
    }
  });
});

it("falls back to the CPU for a name without a file, and says so", async () => {
  for (const name of ["abacus", "../reader"]) {
    const { runtime, problems } = await openRuntime([name], 1);
    expect(runtime.providers.map((provider) => provider.name)).toEqual(["cpu"]);
    expect(problems).toMatchObject([{ code: "PROVIDER_FELL_BACK" }]);
  }
});

it("refuses a graph that is not what the manifest says, in the manifest's words", async () => {
  const pack = await openPack(await findPack("auto", PACKS));
  const { runtime } = await openRuntime(["cpu"], 1);
  const opening = openSession(join(pack.dir, projectorOf(pack).file), {
    ...runtime,
    inputs: [
      { name: "vectors", type: "float32", dims: ["n", 7777] },
      { name: "absent", type: "int64", dims: [1] },
    ],
    outputs: [],
  });
  await expect(opening).rejects.toMatchObject({
    code: "PACK_INCOMPATIBLE",
    message: expect.stringMatching(/vectors.*7777.*absent/),
  });
});
