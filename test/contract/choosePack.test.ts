// What is opened where memory is short: real packs, and free memory as it may be.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { choosePack } from "../../engine/choosePack.ts";
import { parseSettings } from "../../engine/config.ts";
import { startEngine } from "../../engine/engine.ts";
import type { MemorySource } from "../../engine/infer/freeMemory.ts";
import { installationOf } from "../../engine/installation.ts";
import { findPack, openPack, type Pack } from "../../engine/pack/pack.ts";
import { preparePack } from "../../engine/prepare.ts";

const TINY = fileURLToPath(new URL("../fixtures/qwen2/tiny", import.meta.url));
const answering = new URL("../fixtures/answeringProbe.mjs", import.meta.url);
const { packsDir, workers } = installationOf(new URL("../../engine/cli.ts", import.meta.url).href);

let dir: string;
let large: Pack;
let fourBits: Pack;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "precis-choose-"));
  const companion = await openPack(await findPack("auto", packsDir));
  // Its keys and values make it larger than the bundled one.
  const how = { source: TINY, maxTokens: 32_768, companion };
  large = await preparePack({ ...how, out: join(dir, "large"), id: "large", format: "q8" });
  fourBits = await preparePack({ ...how, out: join(dir, "four-bits"), id: "four-bits", format: "q4" });
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const memory = (free: number, card?: number): MemorySource => ({
  machine: () => ({ name: "this machine", free, total: 16e9 }),
  cards: async () => (card === undefined ? [] : [{ name: "Card 1", free: card, total: 8e9 }]),
});

function choose(free: number, providers: readonly string[] = ["cpu"], card?: number, pack = large.dir) {
  const settings = { ...parseSettings({}).settings, pack, "execution.providers": providers };
  return choosePack({
    settings,
    packsDir,
    preparedDirs: [],
    asking: { probeUrl: answering, cacheDir: undefined, threads: 1 },
    isReaderRemote: false,
    memory: memory(free, card),
  });
}

describe("the pack", () => {
  it("is the one asked for where it fits", async () => {
    expect(await choose(8e9)).toMatchObject({ pack: { dir: large.dir }, problems: [] });
  });

  it("is the bundled one where it does not, and the reason says both sizes", async () => {
    const { pack, problems, choice } = await choose(200e6);
    expect(pack.dir.startsWith(packsDir)).toBe(true);
    expect(choice.providers).toEqual(["cpu"]);
    expect(problems).toEqual([
      {
        code: "PACK_FELL_BACK",
        detail: expect.stringMatching(
          /^tiny takes about 3\d\d MB of memory, and this machine has 200 MB of 16\.0 GB free; .* answers in its place until the engine is started again$/,
        ),
      },
    ]);
  });

  it("stays where nothing smaller is there", async () => {
    expect(await choose(1e6, ["cpu"], undefined, "auto")).toMatchObject({ problems: [] });
  });

  it("needs less of the machine where a card takes the reader, but the card must have room", async () => {
    expect(await choose(320e6, ["webgpu"], 4e9)).toMatchObject({ pack: { dir: large.dir }, problems: [] });
    const full = await choose(8e9, ["webgpu"], 2e6);
    expect(full.choice.providers).toEqual(["cpu"]);
    expect(full.choice.problems).toEqual([
      {
        code: "PROVIDER_FELL_BACK",
        detail: expect.stringMatching(/^webgpu: the reader takes about \d\d MB, and Card 1 has 2 MB of 8\.0 GB free$/),
      },
    ]);
  });
});

it("a provider that runs other weights than the pack's is not taken, and the reason says so", async () => {
  // The fixture runs 8 bits alone.
  const { choice } = await choose(8e9, ["webgpu"], undefined, fourBits.dir);
  expect(choice.providers).toEqual(["cpu"]);
  expect(choice.problems).toEqual([
    { code: "PROVIDER_FELL_BACK", detail: "webgpu: it does not run 4-bit weights in float32, which this pack's are" },
  ]);
});

it("an engine that had no room says so and completes with the bundled pack", async () => {
  const settings = { ...parseSettings({}).settings, pack: large.dir, "execution.providers": ["cpu"] };
  const engine = await startEngine({ packsDir, preparedDirs: [], settings, workers, memory: memory(200e6) });
  expect(engine.problems).toMatchObject([{ code: "PACK_FELL_BACK" }]);
  const text = "def area(width, height):\n    return ";
  const how = { mode: "none", maxLines: 1 } as const;
  const made = await engine.complete({ path: "a.py", text, offset: text.length }, how);
  expect(made.promptTokens).toBeGreaterThan(10);
  await engine.close();
});
