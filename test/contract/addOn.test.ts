// The whole way of compressed mode for a Qwen reader: a projector trained and exported by the training kit
// (test/fixtures/addOn/make.py) is added beside a prepared pack, and the engine answers as torch did; what does not fit is
// named, and full mode is used.
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type PackInUse, takeAddOn } from "../../engine/addOns.ts";
import { neededBy } from "../../engine/choosePack.ts";
import { parseSettings } from "../../engine/config.ts";
import { type Engine, fingerprintOf, startEngine } from "../../engine/engine.ts";
import { checkAddOnParity } from "../../engine/infer/addOnParity.ts";
import { choose } from "../../engine/infer/choice.ts";
import { openDecoder } from "../../engine/infer/decoder.ts";
import { openRuntime } from "../../engine/infer/runtime.ts";
import { openSession } from "../../engine/infer/session.ts";
import { tokenRows } from "../../engine/infer/tokenRows.ts";
import { installAddOn } from "../../engine/installAddOn.ts";
import { installationOf } from "../../engine/installation.ts";
import type { AddOnManifest } from "../../engine/pack/addOn.ts";
import { describeFiles, findPack, openPack, type Pack } from "../../engine/pack/pack.ts";
import { preparePack } from "../../engine/prepare.ts";

const READER = fileURLToPath(new URL("../fixtures/qwen2/tiny", import.meta.url));
const ENCODER = fileURLToPath(new URL("../fixtures/qwen3Embedding/tiny", import.meta.url));
const ADDON = fileURLToPath(new URL("../fixtures/addOn/tiny", import.meta.url));
const REPOSITORY = fileURLToPath(new URL("../../samples/parcels", import.meta.url));
const { packsDir, workers } = installationOf(new URL("../../engine/cli.ts", import.meta.url).href);
/** Of the largest number. */
const TOLERANCE = 1e-3;

interface Expected {
  readonly contexts: readonly string[];
  readonly vectors: readonly (readonly number[])[];
  readonly pseudoTokens: readonly number[];
  readonly ids: readonly number[];
  readonly best: readonly number[];
  readonly last: readonly number[];
}

let dir: string;
/** Where packs and add-ons lie, new for every test. */
let packs: string;
let prepared: Pack;
let expected: Expected;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "precis-addon-"));
  const companion = await openPack(await findPack("auto", packsDir));
  const how = { source: READER, format: "fp32", maxTokens: 1024, companion } as const;
  prepared = await preparePack({ ...how, out: join(dir, "prepared"), id: "reader" });
  expected = JSON.parse(await readFile(join(ADDON, "..", "expected.json"), "utf8"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));
beforeEach(async () => {
  packs = await mkdtemp(join(dir, "packs-"));
  await cp(prepared.dir, join(packs, "reader"), { recursive: true });
});

/** The committed add-on with another manifest, its files hashed anew. */
async function changedAddOn(name: string, change: (manifest: AddOnManifest) => object, without: string[] = []) {
  const folder = join(dir, `${name}-${Math.random().toString(36).slice(2)}`);
  await cp(ADDON, folder, { recursive: true });
  for (const file of without) await rm(join(folder, file));
  const manifest: AddOnManifest = JSON.parse(await readFile(join(folder, "addon.json"), "utf8"));
  const changed = { ...manifest, ...change(manifest), id: name, files: await describeFiles(folder) };
  await writeFile(join(folder, "addon.json"), JSON.stringify(changed));
  return folder;
}

/** One that only names its encoder. */
function reference(): Promise<string> {
  const named = ({ encoder: { file: _file, tokenizer: _tokenizer, ...encoder } }: AddOnManifest) => ({ encoder });
  return changedAddOn("reference", named, ["encoder.onnx", "encoder.tokenizer.json"]);
}

/** As the engine takes it up, of the add-ons in `packs` alone. */
async function inUse(): Promise<PackInUse> {
  return takeAddOn(await openPack(join(packs, "reader")), [packs]);
}

async function withEngine<T>(work: (engine: Engine) => Promise<T>): Promise<T> {
  const settings = { ...parseSettings({}).settings, pack: join(packs, "reader"), "execution.providers": ["cpu"] };
  const engine = await startEngine({ packsDir, settings, workers });
  try {
    return await work(engine);
  } finally {
    await engine.close();
  }
}

/** A completion in mode compressed, and what the index pass before it did. */
async function completed(engine: Engine, storeDir: string) {
  const settings = parseSettings({}).settings;
  const workspace = await engine.openWorkspace({ root: REPOSITORY, storeDir, settings });
  try {
    const report = await workspace.index();
    const text = "from parcels import tariff\n\n\ndef price(parcel):\n    return ";
    const cursor = { path: "new.py", text, offset: text.length };
    return { report, completion: await workspace.complete(cursor, { mode: "compressed", maxLines: 1 }) };
  } finally {
    workspace.close();
  }
}

function largestDifference(actual: ArrayLike<number>, wanted: readonly number[]): number {
  expect(actual).toHaveLength(wanted.length);
  const size = Math.max(...wanted.map(Math.abs));
  return Math.max(...wanted.map((value, n) => Math.abs(value - (actual[n] ?? Number.NaN)))) / size;
}

describe("an add-on for the pack's reader", () => {
  it("answers as torch does from text to logits, its encoder made of the checkpoint", async () => {
    await installAddOn({ source: await reference(), parent: packs, encoder: ENCODER, format: "fp32" });
    const rows = await withEngine(async ({ models, compressedFault }) => {
      expect(compressedFault).toBeUndefined();
      const vectors = await models.encode(expected.contexts, "indexing");
      expected.vectors.forEach((wanted, n) => {
        const cosine = wanted.reduce((sum, value, at) => sum + value * (vectors[n]?.[at] ?? Number.NaN), 0);
        expect(cosine).toBeGreaterThan(0.9999);
      });
      return models.project(vectors);
    });
    const pseudoTokens = rows.flatMap((row) => [...row]);
    expect(largestDifference(pseudoTokens, expected.pseudoTokens)).toBeLessThan(TOLERANCE);

    const { embed, reader } = prepared.manifest;
    const { runtime } = await openRuntime(["cpu"], 1);
    const { session } = await openSession(join(prepared.dir, embed.file), { ...runtime, inputs: [], outputs: [] });
    const { decoder } = await openDecoder(join(prepared.dir, reader.file), reader, runtime);
    const input = Float32Array.from([...pseudoTokens, ...(await tokenRows(session, [...expected.ids]))]);
    const count = input.length / reader.readerDim;
    const logits = await decoder.read(input, [], count);
    await Promise.all([session.close(), decoder.close()]);
    expect(largestDifference(logits.slice(-reader.vocabSize), expected.last)).toBeLessThan(TOLERANCE);
    expect(expected.best.map((_, row) => choose(logits, row, reader.vocabSize).token)).toEqual(expected.best);
  });

  it("holding its encoder, is taken up whole: index, retrieve, complete with pseudo-tokens of chunks", async () => {
    await installAddOn({ source: ADDON, parent: packs, format: "q8" });
    const { completion, report } = await withEngine((engine) => completed(engine, join(packs, "store")));
    expect(report.embedded).toBeGreaterThan(5);
    expect(completion).toMatchObject({ mode: "compressed", contextTokens: 0, problems: [] });
    expect(completion.candidates.length).toBeGreaterThan(0);
    expect(completion.candidates.every(({ node }) => node.level === "chunk")).toBe(true);
    // K is 6, of two a node.
    expect(completion.pseudoTokens).toBe(Math.min(6, 2 * completion.candidates.length));
  });

  it("fits the reader in whatever format", async () => {
    await rm(join(packs, "reader"), { recursive: true });
    const companion = await openPack(await findPack("auto", packsDir));
    const out = join(packs, "reader");
    await preparePack({ source: READER, out, id: "reader", format: "q4", maxTokens: 512, companion });
    await installAddOn({ source: ADDON, parent: packs, format: "q8" });
    expect((await inUse()).pack.manifest.modes).toContain("compressed");
  });

  it("is replaced by one of the same name, and leaves nothing else", async () => {
    await installAddOn({ source: ADDON, parent: packs, format: "q8" });
    await installAddOn({ source: ADDON, parent: packs, format: "q8" });
    expect((await readdir(packs)).sort()).toEqual(["reader", "tiny"]);
  });

  it("leaves a pack of its name alone, and what died in the making unread", async () => {
    await cp(prepared.dir, join(packs, "tiny"), { recursive: true });
    await installAddOn({ source: ADDON, parent: packs, format: "q8" });
    await installAddOn({ source: ADDON, parent: packs, format: "q8" });
    expect((await readdir(packs)).sort()).toEqual(["reader", "tiny", "tiny-2"]);
    expect((await openPack(join(packs, "tiny"))).manifest.id).toBe("reader");
    await rename(join(packs, "tiny-2"), join(packs, "tiny-2.partial-1"));
    expect((await inUse()).pack.addOn).toBeUndefined();
  });

  it("has an index of its own: no row of another encoder or projector is read", async () => {
    const alone = fingerprintOf((await inUse()).pack).pack;
    await installAddOn({ source: ADDON, parent: packs, format: "q8" });
    const added = fingerprintOf((await inUse()).pack).pack;
    await rm(join(packs, "tiny"), { recursive: true });
    await installAddOn({ source: await reference(), parent: packs, encoder: ENCODER, format: "fp32" });
    const otherEncoder = fingerprintOf((await inUse()).pack).pack;
    const projector = await changedAddOn("projector", () => ({}));
    const bytes = await readFile(join(projector, "projector.onnx"));
    // The name of the graph's producer, which no number hangs on.
    bytes.write("p", bytes.indexOf("recis"));
    await writeFile(join(projector, "projector.onnx"), bytes);
    const manifest = JSON.parse(await readFile(join(projector, "addon.json"), "utf8"));
    const files = await describeFiles(projector);
    await rm(join(packs, "reference"), { recursive: true });
    await writeFile(join(projector, "addon.json"), JSON.stringify({ ...manifest, files }));
    await installAddOn({ source: projector, parent: packs, format: "q8" });
    const otherProjector = fingerprintOf((await inUse()).pack).pack;
    expect(new Set([alone, added, otherEncoder, otherProjector]).size).toBe(4);
  });

  it("taken away and added again, makes the index anew each time", async () => {
    const storeDir = join(packs, "store");
    await installAddOn({ source: ADDON, parent: packs, format: "q8" });
    const first = await withEngine((engine) => completed(engine, storeDir));
    await rm(join(packs, "tiny"), { recursive: true });
    const second = await withEngine((engine) => completed(engine, storeDir));
    expect(second.report.embedded).toBeGreaterThan(5);
    expect(second.completion).toMatchObject({ mode: "full", problems: [{ code: "MODE_FELL_BACK" }] });
    await installAddOn({ source: ADDON, parent: packs, format: "q8" });
    const third = await withEngine((engine) => completed(engine, storeDir));
    const { embedded, reused } = first.report;
    expect(third.report).toMatchObject({ embedded, reused });
    expect(third.completion.text).toBe(first.completion.text);
  });
});

describe("without one that fits, full mode is used and the words say why:", () => {
  /** The fault, which the engine shows, beside a completion that goes on in mode full. */
  async function fault(): Promise<string> {
    const { pack, compressedFault = "" } = await inUse();
    expect(pack.manifest.modes).toEqual(["none", "full"]);
    return compressedFault;
  }

  it("none at all", async () => {
    expect(await fault()).toMatch(/needs a projector.*precis packs add FOLDER.*full is used/s);
    expect((await inUse()).problems).toEqual([]);
  });

  it("one whose bytes changed", async () => {
    await installAddOn({ source: ADDON, parent: packs, format: "q8" });
    const file = join(packs, "tiny", "projector.onnx");
    const bytes = await readFile(file);
    bytes[bytes.length - 9] = (bytes[bytes.length - 9] ?? 0) ^ 1;
    await writeFile(file, bytes);
    expect(await fault()).toMatch(/ADDON_CORRUPT: .*projector\.onnx has sha256 .*Add it again.*full is used/s);
    const { completion } = await withEngine((engine) => completed(engine, join(packs, "store")));
    expect(completion.mode).toBe("full");
    expect(completion.problems[0]?.detail).toContain("ADDON_CORRUPT");
    expect(completion.contextTokens).toBeGreaterThan(0);
  });

  it.each(["encoder.onnx", "fuser.onnx", "projector.onnx", "encoder.tokenizer.json"])(
    "one without %s",
    async (name) => {
      await cp(ADDON, join(packs, "tiny"), { recursive: true });
      await rm(join(packs, "tiny", name));
      expect(await fault()).toMatch(/ADDON_CORRUPT: .* is missing/);
    },
  );

  it("one whose manifest is damaged", async () => {
    await mkdir(join(packs, "tiny"));
    await writeFile(join(packs, "tiny", "addon.json"), "{");
    expect(await fault()).toMatch(/ADDON_CORRUPT: .* is not JSON/);
    await writeFile(join(packs, "tiny", "addon.json"), "{}");
    expect(await fault()).toMatch(/ADDON_INCOMPATIBLE: .*must have required property 'reader'/s);
  });

  it("one for another reader", async () => {
    const folder = await changedAddOn("foreign", ({ reader }) => ({
      reader: { ...reader, name: "Another", weights: ["0".repeat(64)] },
    }));
    await cp(folder, join(packs, "foreign"), { recursive: true });
    expect(await fault()).toMatch(/ADDON_FOREIGN: .* was trained for Another, not for reader.*precis packs add/s);
    // It is in nobody's way.
    await installAddOn({ source: ADDON, parent: packs, format: "q8" });
    expect((await inUse()).problems).toEqual([]);
  });

  it("one whose encoder memory has no room for", async () => {
    const large = await changedAddOn("large", () => ({}));
    // Constants beside the encoder's graph, as a large encoder has them; they are no part of this one.
    await writeFile(join(large, "encoder.onnx.data"), new Uint8Array(64e6));
    const manifest = JSON.parse(await readFile(join(large, "addon.json"), "utf8"));
    await writeFile(join(large, "addon.json"), JSON.stringify({ ...manifest, files: await describeFiles(large) }));
    await cp(large, join(packs, "large"), { recursive: true });
    const { pack: whole } = await inUse();
    const free = (neededBy(prepared, false) + neededBy(whole, false)) / 2;
    const memory = { machine: () => ({ name: "this machine", free, total: 16e9 }), cards: async () => [] };
    const settings = { ...parseSettings({}).settings, pack: join(packs, "reader"), "execution.providers": ["cpu"] };
    const engine = await startEngine({ packsDir, preparedDirs: [], settings, workers, memory });
    expect(engine.pack.addOn).toBeUndefined();
    expect(engine.compressedFault).toMatch(/with its add-on takes about \d+ MB of memory, and .*full is used/);
    expect(engine.problems).toMatchObject([{ code: "ADDON_IGNORED" }]);
    await engine.close();
  });

  it("one that only names its encoder", async () => {
    await cp(await reference(), join(packs, "reference"), { recursive: true });
    expect(await fault()).toMatch(/ADDON_INCOMPLETE: .*--encoder CHECKPOINT/s);
  });

  it("one whose widths are not the reader's", async () => {
    const folder = await changedAddOn("narrow", ({ projector }) => ({ projector: { ...projector, readerDim: 32 } }));
    await cp(folder, join(packs, "narrow"), { recursive: true });
    expect(await fault()).toMatch(/ADDON_INCOMPATIBLE: .*projector.readerDim 32 is not the reader's 64/);
  });

  it("a pack that does not say what its reader was made of", async () => {
    const file = join(packs, "reader", "pack.json");
    const manifest = JSON.parse(await readFile(file, "utf8"));
    delete manifest.reader.weights;
    await writeFile(file, JSON.stringify(manifest));
    expect(await fault()).toContain("Prepare the pack again");
  });
});

describe("adding refuses, and leaves nothing:", () => {
  async function refusal(source: string, encoder?: string): Promise<unknown> {
    const error = await installAddOn({ source, parent: packs, encoder, format: "fp32" }).catch(
      (thrown: unknown) => thrown,
    );
    expect(await readdir(packs)).toEqual(["reader"]);
    return error;
  }

  it("a folder that is none", async () => {
    expect(await refusal(READER)).toMatchObject({ code: "ADDON_MISSING" });
  });

  it("a reference without its encoder, and with another one", async () => {
    expect(await refusal(await reference())).toMatchObject({ code: "ADDON_INCOMPLETE" });
    expect(await refusal(await reference(), READER)).toMatchObject({ code: "ENCODER_UNSUPPORTED" });
    const other = join(dir, "otherEncoder");
    await cp(ENCODER, other, { recursive: true });
    const weights = await readFile(join(other, "model.safetensors"));
    weights[weights.length - 3] = (weights[weights.length - 3] ?? 0) ^ 1;
    await writeFile(join(other, "model.safetensors"), weights);
    expect(await refusal(await reference(), other)).toMatchObject({ code: "ENCODER_FOREIGN" });
  });

  it("an encoder or projector that answers otherwise than in training", async () => {
    const folder = await changedAddOn("other", () => ({}));
    const parity = JSON.parse(await readFile(join(folder, "parity.json"), "utf8"));
    const manifest = JSON.parse(await readFile(join(folder, "addon.json"), "utf8"));
    const tell = async (changed: object) => {
      await writeFile(join(folder, "parity.json"), JSON.stringify({ ...parity, ...changed }));
      await writeFile(join(folder, "addon.json"), JSON.stringify({ ...manifest, files: await describeFiles(folder) }));
    };
    const [first, ...others] = parity.texts;
    await tell({ texts: [{ ...first, vector: first.vector.map((value: number) => -value) }, ...others] });
    expect(await refusal(folder)).toMatchObject({ message: expect.stringContaining("encoder: a vector has cosine") });
    await tell({ texts: [{ ...first, kind: "query" }, ...others] });
    expect(await refusal(folder)).toMatchObject({ message: expect.stringContaining("encoder: a vector has cosine") });
    const [sample] = parity.projector;
    const data = sample.outputs.pseudo_tokens.data.map((value: number, n: number) => (n === 0 ? value + 0.01 : value));
    const outputs = { pseudo_tokens: { ...sample.outputs.pseudo_tokens, data } };
    await tell({ projector: [{ ...sample, outputs }] });
    expect(await refusal(folder)).toMatchObject({
      message: expect.stringContaining("projector: pseudo_tokens differs"),
    });
  });

  it("nothing that is whole", async () => {
    const addOn = await installAddOn({ source: ADDON, parent: packs, format: "q8" });
    expect((await checkAddOnParity(addOn, ["cpu"])).samples).toBe(8);
  });
});
