// The doctor over real installations: a sound one, and one damage at a time.
import { cp, mkdir, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseSettings, type Settings } from "../../engine/config.ts";
import { type DoctorOptions, doctor } from "../../engine/doctor.ts";
import { type Engine, startEngine } from "../../engine/engine.ts";
import type { FreeMemory } from "../../engine/infer/freeMemory.ts";
import { installationOf, storeDirOf } from "../../engine/installation.ts";
import { findPack } from "../../engine/pack/pack.ts";
import type { DoctorCheck } from "../../engine/protocol.ts";

const SAMPLES = fileURLToPath(new URL("../../samples/parcels", import.meta.url));
const installation = installationOf(new URL("../../engine/cli.ts", import.meta.url).href);
const settings: Settings = { ...parseSettings({}).settings, "execution.providers": ["cpu"] };
const MACHINE: FreeMemory = { name: "this machine", free: 8e9, total: 16e9 };

let dir: string;
let running: Engine;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "precis-doctor-"));
  const { packsDir, workers } = installation;
  running = await startEngine({ packsDir, settings, workers });
});
afterAll(async () => {
  await running.close();
  await rm(dir, { recursive: true, force: true });
});

async function lookOver(change: Partial<DoctorOptions> & { free?: number; cards?: readonly FreeMemory[] } = {}) {
  const { free = MACHINE.free, cards = [], ...options } = change;
  // Providers that do not answer need not be asked each time.
  const probe = new URL("../fixtures/crashingProbe.mjs", import.meta.url);
  const { ok, checks } = await doctor({
    installation: { ...installation, workers: { ...installation.workers, probe } },
    cacheDir: join(dir, "cache"),
    settings,
    memory: { machine: () => ({ ...MACHINE, free }), cards: async () => cards },
    ...options,
  });
  const named = new Map(checks.map((check) => [check.name, check]));
  const wrong = checks.filter((check) => !check.ok).map(({ name }) => name);
  return { ok, wrong, check: (name: string): DoctorCheck | undefined => named.get(name), names: [...named.keys()] };
}

/** A copy of the bundled pack. */
async function packCopy(name: string): Promise<string> {
  const copy = join(dir, name);
  await cp(await findPack("auto", installation.packsDir), copy, { recursive: true });
  return copy;
}

/** Of a workspace that was really indexed. */
async function storeCopy(cacheDir: string): Promise<string> {
  const storeDir = storeDirOf(cacheDir, SAMPLES);
  await mkdir(cacheDir, { recursive: true });
  const workspace = await running.openWorkspace({ root: SAMPLES, storeDir, settings });
  await workspace.index();
  workspace.close();
  return storeDir;
}

describe("the doctor", () => {
  it("finds a sound installation sound, and says what it saw", async () => {
    const cacheDir = join(dir, "sound");
    await storeCopy(cacheDir);
    const { ok, wrong, check, names } = await lookOver({ cacheDir });
    expect(wrong).toEqual([]);
    expect(ok).toBe(true);
    expect(names).toEqual([
      "node",
      "cache folder",
      "pack",
      "graphics cards",
      "models",
      "memory",
      ...["cuda", "directml", "coreml", "webgpu"],
      "execution providers",
      "parity",
      "compressed mode",
      "fill in the middle",
      "latency",
      "index and completion",
      "indexes",
    ]);
    expect(check("memory")?.detail).toMatch(/^this machine has 8\.\d GB of 16\.0 GB for it, it takes about \d+ MB$/);
    expect(check("fill in the middle")?.detail).toMatch(/^\d+ tokens in, .+ out; 9 special tokens are one id each$/);
    expect(check("latency")?.detail).toMatch(
      /^first token of a prompt of \d{3} tokens after \d+ ms, after one more keystroke \d+ ms$/,
    );
    expect(check("indexes")?.detail).toMatch(/^1 looked through and sound, \d+ (k|M)?B in all$/);
    expect(check("cuda")?.detail).toMatch(/^not used: /);
  });

  it("looks at the engine that runs, and leaves it running", async () => {
    const { ok, check } = await lookOver({ running });
    expect(ok).toBe(true);
    expect(check("models")?.detail).toMatch(/ is running$/);
    expect((await running.models.encode(["x"], "completion"))[0]).toBeDefined();
  });

  it("names the damaged file of a pack", async () => {
    const pack = await packCopy("damaged");
    const file = await open(join(pack, "tokenizer_config.json"), "r+");
    await file.write("#", 10);
    await file.close();
    const { ok, wrong, check } = await lookOver({ settings: { ...settings, pack } });
    expect(ok).toBe(false);
    expect(wrong).toEqual(["pack"]);
    expect(check("pack")).toMatchObject({
      detail: expect.stringMatching(/PACK_CORRUPT: .*tokenizer_config\.json has sha256/),
      fix: expect.stringMatching(/Reinstall Precis/),
    });
  });

  it("goes on without models where the pack is not there", async () => {
    const { wrong, check } = await lookOver({ settings: { ...settings, pack: "nobody" } });
    expect(wrong).toEqual(["pack", "models", "memory"]);
    expect(check("models")).toMatchObject({ detail: expect.stringMatching(/PACK_MISSING.*nobody/) });
    expect(check("indexes")?.ok).toBe(true);
  });

  it("refuses a stop token that the tokenizer does not know", async () => {
    const pack = await packCopy("strange");
    const file = join(pack, "pack.json");
    const manifest = JSON.parse(await readFile(file, "utf8"));
    manifest.prompt.stopTokens.push("<|nothing|>");
    await writeFile(file, JSON.stringify(manifest));
    const { wrong, check } = await lookOver({ settings: { ...settings, pack } });
    expect(wrong).toContain("fill in the middle");
    expect(check("fill in the middle")).toMatchObject({
      detail: expect.stringMatching(/PACK_INCOMPATIBLE.*<\|nothing\|>/),
      fix: expect.stringMatching(/pack made for this version/),
    });
  });

  it("says how much memory is missing", async () => {
    const { wrong, check } = await lookOver({ running, free: 1e6 - process.memoryUsage.rss() });
    expect(wrong).toEqual(["memory"]);
    expect(check("memory")).toMatchObject({
      detail: expect.stringMatching(/MEMORY_SHORT: .* takes about \d+ MB of memory, and this machine has .* free$/),
      fix: expect.stringMatching(/Choose Model/),
    });
  });

  it("says when completions take longer than they may", async () => {
    const { wrong, check } = await lookOver({ running, settings: { ...settings, "completion.deadlineMs": 0 } });
    expect(wrong).toEqual(["latency"]);
    expect(check("latency")).toMatchObject({
      detail: expect.stringMatching(/READER_SLOW: first token .* took \d+ ms, given up after 0 ms$/),
      fix: expect.stringMatching(/smaller one/),
    });
  });

  it("says that a cache folder cannot be written", async () => {
    const cacheDir = join(dir, "file");
    await writeFile(cacheDir, "");
    const { wrong, check } = await lookOver({ running, cacheDir });
    expect(wrong).toContain("cache folder");
    expect(check("cache folder")).toMatchObject({
      detail: expect.stringMatching(/STORE_UNWRITABLE: /),
      fix: expect.stringMatching(/another folder/),
    });
  });

  it.each([
    ["whose pages are damaged", 40_000],
    ["that is no database", 0],
  ])("names an index %s", async (name, from) => {
    const cacheDir = join(dir, name.replaceAll(" ", "-"));
    const storeDir = await storeCopy(cacheDir);
    const file = await open(join(storeDir, "index.db"), "r+");
    await file.write(Buffer.alloc(30_000, 7), 0, 30_000, from);
    await file.close();
    const { wrong, check } = await lookOver({ running, cacheDir });
    expect(wrong).toEqual(["indexes"]);
    expect(check("indexes")).toMatchObject({
      detail: expect.stringContaining(storeDir),
      fix: expect.stringMatching(/Re-index Workspace/),
    });
  });

  it("says what a card needs that nothing uses", async () => {
    const cards = [{ name: "NVIDIA RTX 4060", free: 7e9, total: 8e9, driver: "580.65.06" }];
    const { ok, check } = await lookOver({ cards });
    expect(ok).toBe(true);
    expect(check("graphics cards")?.detail).toBe("NVIDIA RTX 4060: 7.0 GB of 8.0 GB free, driver 580.65.06");
    expect(check("execution providers")?.fix).toMatch(/^NVIDIA RTX 4060 is not used: install its current driver/);
  });
});
