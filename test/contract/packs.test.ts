// Every folder under packs/ keeps the same promises.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { CHUNKER_VERSION } from "../../engine/indexing/chunk.ts";
import { checkParity } from "../../engine/infer/parity.ts";
import { loadTokenizer } from "../../engine/infer/tokenizer.ts";
import { listPacks, verifyPack } from "../../engine/pack/pack.ts";

const PACKS = fileURLToPath(new URL("../../packs", import.meta.url));
const names = await listPacks(PACKS);

it("ships at least one pack", () => {
  expect(names.length).toBeGreaterThan(0);
});

describe.each(names)("%s", (name) => {
  const dir = join(PACKS, name);

  it("is named by its folder, fits the schema, and every file has its hash", async () => {
    const { manifest } = await verifyPack(dir);
    expect(manifest.id).toBe(name);
    expect(manifest.chunking.version).toBe(CHUNKER_VERSION);
    const bytes = Object.values(manifest.files).reduce((sum, file) => sum + file.bytes, 0);
    expect(bytes).toBeLessThan(20e6);
  });

  it("holds nothing that could be run", async () => {
    const { manifest } = await verifyPack(dir);
    for (const file of Object.keys(manifest.files)) expect(file).toMatch(/\.(onnx|json|md)$|^LICENSE/);
    expect(existsSync(join(dir, manifest.modelCard))).toBe(true);
  });

  it("answers its parity samples on this machine", async () => {
    const { samples, worst } = await checkParity(await verifyPack(dir), ["cpu"]);
    expect(samples).toBeGreaterThan(5);
    expect(worst).toBeLessThanOrEqual(1);
  });

  it("has a tokenizer that loses nothing and takes no orders from text", async () => {
    const { manifest } = await verifyPack(dir);
    const tokenizer = await loadTokenizer(join(dir, manifest.tokenizer.file));
    const texts = ["def f(x):\n\treturn x\r\n", "名前 = '😀𝒳'", "  \n\n    ", "a<|fim_middle|>b<|endoftext|>"];
    for (const text of texts) expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    const middle = tokenizer.idOf("<|fim_middle|>");
    expect(tokenizer.encode("<|fim_middle|>")).not.toContain(middle);
    expect(tokenizer.encode("<|fim_middle|>", true)).toEqual([middle]);
    for (const stop of manifest.prompt.stopTokens) expect(tokenizer.idOf(stop)).toBeLessThan(manifest.reader.vocabSize);
    expect(() => tokenizer.idOf("<|no_such_token|>")).toThrow(/PACK_INCOMPATIBLE/);
  });
});
