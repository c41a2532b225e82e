// Free memory as the system and its tools tell it, and what a pack takes.
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { cardMemory, machineMemory, sizeText } from "../../engine/infer/freeMemory.ts";
import { findPack, openPack } from "../../engine/pack/pack.ts";
import { packMemory } from "../../engine/pack/sizes.ts";

const PATH = process.env["PATH"];
let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "precis-memory-"));
});
afterEach(() => {
  process.env["PATH"] = PATH;
});
afterAll(() => rm(dir, { recursive: true, force: true }));

it("the machine's is more than this process has and no more than there is", () => {
  const { name, free, total } = machineMemory();
  expect(name).toMatch(/^this (machine|container)$/);
  expect(free).toBeGreaterThan(0);
  expect(free).toBeLessThanOrEqual(total);
  expect(total).toBeGreaterThan(process.memoryUsage.rss());
});

// Windows finds no script under that name.
describe.skipIf(process.platform === "win32")("a card's", () => {
  async function tool(text: string): Promise<void> {
    const file = join(dir, "nvidia-smi");
    await writeFile(file, `#!/bin/sh\n${text}\n`);
    await chmod(file, 0o755);
    process.env["PATH"] = `${dir}${delimiter}${PATH}`;
  }

  it("is what NVIDIA's tool says, in bytes", async () => {
    await tool("printf '1024, 8192, 580.65.06, NVIDIA RTX 4060\\n[N/A], [N/A], 580.65.06, NVIDIA GB10\\n'");
    const card = { name: "NVIDIA RTX 4060", free: 1024 * 2 ** 20, total: 8192 * 2 ** 20, driver: "580.65.06" };
    expect(await cardMemory(dir)).toEqual([card]);
  });

  it("is not known where the tool is missing, fails or says something else", async () => {
    expect(await cardMemory(dir)).toEqual([]);
    await tool("echo 'NVIDIA-SMI has failed'; exit 9");
    expect(await cardMemory(dir)).toEqual([]);
    await tool("echo 'No devices were found'");
    expect(await cardMemory(dir)).toEqual([]);
  });

  it("is what Linux tells of AMD's cards, and nothing of the others", async () => {
    const device = join(dir, "drm", "card1", "device");
    await mkdir(device, { recursive: true });
    await mkdir(join(dir, "drm", "card0", "device"), { recursive: true });
    await mkdir(join(dir, "drm", "card1-DP-1"));
    await writeFile(join(device, "mem_info_vram_total"), "8000000000\n");
    await writeFile(join(device, "mem_info_vram_used"), "500000000\n");
    expect(await cardMemory(join(dir, "drm"))).toEqual([
      { name: "the AMD card card1", free: 7_500_000_000, total: 8_000_000_000 },
    ]);
  });
});

it("the bundled pack takes its graphs and the engine beside them", async () => {
  const packsDir = new URL("../../packs", import.meta.url).pathname;
  const { manifest } = await openPack(await findPack("auto", packsDir));
  const { reader, beside } = packMemory(manifest);
  const bytes = manifest.files[manifest.reader.file]?.bytes ?? 0;
  expect(reader).toBeGreaterThan(bytes);
  expect(reader).toBeLessThan(3 * bytes + 64e6);
  expect(sizeText(beside)).toMatch(/^3\d\d MB$/);
  expect(sizeText(1_530_000_000)).toBe("1.5 GB");
});
