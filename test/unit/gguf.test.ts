// The file that llama.cpp reads: its head as the format says, every tensor at its place, the same bytes for the same seed.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { writeGguf } from "../../bench/peers/gguf.ts";

const SHAPE = {
  layers: 2,
  heads: 2,
  kvHeads: 1,
  headDim: 32,
  readerDim: 64,
  ffnDim: 96,
  vocabSize: 100,
  maxTokens: 128,
  ropeTheta: 10_000,
  normEpsilon: 1e-6,
};

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "precis-gguf-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

interface Read {
  readonly values: Map<string, string | number>;
  readonly tensors: Map<string, { dims: number[]; type: number; at: number }>;
  readonly size: number;
}

function read(file: Buffer): Read {
  let at = 0;
  const uint32 = () => {
    at += 4;
    return file.readUInt32LE(at - 4);
  };
  const uint64 = () => {
    at += 8;
    return Number(file.readBigUInt64LE(at - 8));
  };
  const text = () => {
    const length = uint64();
    at += length;
    return file.toString("utf8", at - length, at);
  };
  expect(file.toString("latin1", 0, 4)).toBe("GGUF");
  at = 4;
  expect(uint32()).toBe(3);
  const tensorCount = uint64();
  const valueCount = uint64();
  const values = new Map<string, string | number>();
  for (let n = 0; n < valueCount; n += 1) {
    const key = text();
    const type = uint32();
    if (type === 8) values.set(key, text());
    else if (type === 4) values.set(key, uint32());
    else {
      expect(type).toBe(6);
      at += 4;
      values.set(key, file.readFloatLE(at - 4));
    }
  }
  const tensors = new Map<string, { dims: number[]; type: number; at: number }>();
  for (let n = 0; n < tensorCount; n += 1) {
    const name = text();
    const dims = Array.from({ length: uint32() }, uint64);
    const type = uint32();
    tensors.set(name, { dims, type, at: uint64() });
  }
  const start = Math.ceil(at / 32) * 32;
  for (const tensor of tensors.values()) tensor.at += start;
  return { values, tensors, size: file.length };
}

it("holds the shape's tensors one behind the other", async () => {
  const file = join(dir, "one.gguf");
  await writeGguf(file, SHAPE, 1);
  const bytes = await readFile(file);
  const { values, tensors, size } = read(bytes);
  expect(values.get("general.architecture")).toBe("qwen2");
  expect(values.get("qwen2.attention.head_count_kv")).toBe(1);
  expect(values.get("qwen2.rope.freq_base")).toBe(10_000);
  expect(tensors.size).toBe(3 + 12 * SHAPE.layers);
  expect(tensors.get("blk.1.ffn_down.weight")).toMatchObject({ dims: [96, 64], type: 2 });
  expect(tensors.get("blk.0.attn_k.bias")).toMatchObject({ dims: [32], type: 0 });
  let end = 0;
  for (const { dims, type, at } of tensors.values()) {
    expect(at % 32).toBe(0);
    if (end > 0) expect(at).toBe(Math.ceil(end / 32) * 32);
    const count = dims.reduce((product, dim) => product * dim, 1);
    end = at + (type === 2 ? (count / 32) * 18 : count * 4);
  }
  expect(size).toBe(Math.ceil(end / 32) * 32);
  const norm = tensors.get("output_norm.weight")?.at ?? 0;
  expect(bytes.readFloatLE(norm)).toBe(1);
});

it("is the same for the same seed and another for another", async () => {
  const [first, again, other] = await Promise.all(
    [1, 1, 2].map(async (seed, n) => {
      const file = join(dir, `${n}.gguf`);
      await writeGguf(file, SHAPE, seed);
      return readFile(file);
    }),
  );
  expect(again).toEqual(first);
  expect(other).not.toEqual(first);
});
