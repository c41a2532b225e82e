import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { findPack, listPacks, openPack, verifyPack } from "../../engine/pack/pack.ts";

let packsDir: string;
let dir: string;
beforeEach(async () => {
  packsDir = await mkdtemp(join(tmpdir(), "precis-packs-"));
  dir = join(packsDir, "tiny");
  await mkdir(dir);
});
afterEach(() => rm(packsDir, { recursive: true }));

const FILES = [
  "tokenizer.json",
  "embed.onnx",
  "encoder.onnx",
  "fuser.onnx",
  "projector.onnx",
  "reader.onnx",
  "parity.json",
  "MODEL_CARD.md",
];

function manifestOf(contents: ReadonlyMap<string, string>) {
  const files = Object.fromEntries(
    [...contents].map(([name, text]) => [
      name,
      { bytes: Buffer.byteLength(text), sha256: createHash("sha256").update(text).digest("hex") },
    ]),
  );
  return {
    schemaVersion: 1,
    id: "tiny",
    version: "0.0.1",
    title: "Tiny",
    licence: "MIT",
    modelCard: "MODEL_CARD.md",
    languages: ["python"],
    modes: ["none", "full", "compressed"],
    files,
    tokenizer: { file: "tokenizer.json", vocabSize: 100 },
    chunking: { version: 1, maxTokens: 64 },
    embed: { file: "embed.onnx" },
    encoder: { file: "encoder.onnx", modality: "text", pooling: "mean", maxTokens: 64, vectorDim: 8 },
    fuser: { file: "fuser.onnx", branching: 8, vectorDim: 8 },
    projector: { file: "projector.onnx", perNode: 1, vectorDim: 8, readerDim: 16 },
    reader: {
      file: "reader.onnx",
      architecture: "qwen2",
      layers: 1,
      kvHeads: 1,
      headDim: 16,
      readerDim: 16,
      vocabSize: 128,
      maxTokens: 256,
    },
    prompt: {
      order: "spm",
      retrieved: "{path}{text}",
      psm: "{prefix}{suffix}",
      spm: "{suffix}{prefix}",
      stopTokens: ["<|endoftext|>"],
      budget: { left: 64, right: 32, context: 64, pseudoTokens: 8, newTokens: 16 },
    },
    quantisation: "none",
    parity: "parity.json",
  };
}

type Manifest = ReturnType<typeof manifestOf>;

async function writePack(change: (manifest: Manifest) => void = () => {}): Promise<void> {
  const contents = new Map(FILES.map((name) => [name, `contents of ${name}`]));
  for (const [name, text] of contents) await writeFile(join(dir, name), text);
  const manifest = manifestOf(contents);
  change(manifest);
  await writeFile(join(dir, "pack.json"), JSON.stringify(manifest));
}

describe("a pack", () => {
  it("opens and verifies", async () => {
    await writePack();
    expect((await verifyPack(dir)).manifest.id).toBe("tiny");
  });

  it("with a changed byte is corrupt, by the file's name", async () => {
    await writePack();
    await writeFile(join(dir, "fuser.onnx"), "Contents of fuser.onnx");
    await openPack(dir);
    await expect(verifyPack(dir)).rejects.toMatchObject({
      code: "PACK_CORRUPT",
      message: expect.stringContaining("fuser.onnx"),
    });
  });

  it("with a file of another size or none is refused on opening", async () => {
    await writePack();
    await writeFile(join(dir, "reader.onnx"), "short");
    await expect(openPack(dir)).rejects.toMatchObject({
      code: "PACK_CORRUPT",
      message: expect.stringContaining("reader.onnx"),
    });
    await rm(join(dir, "reader.onnx"));
    await expect(openPack(dir)).rejects.toMatchObject({
      code: "PACK_CORRUPT",
      message: expect.stringContaining("missing"),
    });
  });

  it("with a broken manifest is refused", async () => {
    await expect(openPack(dir)).rejects.toMatchObject({ code: "PACK_MISSING" });
    await writeFile(join(dir, "pack.json"), "{ not json");
    await expect(openPack(dir)).rejects.toMatchObject({ code: "PACK_CORRUPT" });
    await writeFile(join(dir, "pack.json"), "{}");
    await expect(openPack(dir)).rejects.toMatchObject({
      code: "PACK_INCOMPATIBLE",
      message: expect.stringContaining("schemaVersion"),
    });
  });

  it.each<[string, (manifest: Manifest) => void, string]>([
    [
      "unlike widths",
      (m) => {
        m.projector.readerDim = 99;
      },
      "projector.readerDim 99",
    ],
    [
      "unlike vectors",
      (m) => {
        m.fuser.vectorDim = 9;
      },
      "fuser.vectorDim 9",
    ],
    [
      "a budget beyond the reader",
      (m) => {
        m.prompt.budget.left = 4000;
      },
      "the reader was trained for 256",
    ],
    [
      "a file that is not listed",
      (m) => {
        m.embed.file = "other.onnx";
      },
      "other.onnx",
    ],
    [
      "a file outside the folder",
      (m) => {
        m.embed.file = "../../etc/passwd";
      },
      "embed/file",
    ],
    [
      "a later schema",
      (m) => {
        m.schemaVersion = 2;
      },
      "schemaVersion",
    ],
  ])("with %s is incompatible", async (_, change, words) => {
    await writePack(change);
    await expect(openPack(dir)).rejects.toMatchObject({
      code: "PACK_INCOMPATIBLE",
      message: expect.stringContaining(words),
    });
  });
});

describe("findPack", () => {
  it("takes auto, a name or a path", async () => {
    await writePack();
    expect(await listPacks(packsDir)).toEqual(["tiny"]);
    expect(await findPack("auto", packsDir)).toBe(dir);
    expect(await findPack("tiny", packsDir)).toBe(dir);
    expect(await findPack(dir, "/nowhere")).toBe(dir);
    await expect(findPack("huge", packsDir)).rejects.toMatchObject({
      code: "PACK_MISSING",
      message: expect.stringContaining("tiny"),
    });
    await expect(findPack("auto", "/nowhere")).rejects.toMatchObject({ code: "PACK_MISSING" });
  });
});
