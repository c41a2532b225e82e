// Numbers of a safetensors file in each of the three formats that checkpoints come in.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type CheckpointFolder, openCheckpoint } from "../../engine/pack/safetensors.ts";

/** Exact in each format but the smallest, which half floats alone hold without an exponent. */
const VALUES = [0, 1, -1, 0.5, -1.5, 3.140625, -2048, 2 ** -14, Number.POSITIVE_INFINITY];
const SMALLEST = 2 ** -24;

/** By the format's own layout: sign, 5 bits of exponent, 10 of fraction. */
function halfOf(value: number): number {
  const sign = value < 0 ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size === 0) return sign;
  if (size === Number.POSITIVE_INFINITY) return sign | 0x7c00;
  const exponent = Math.floor(Math.log2(size));
  if (exponent < -14) return sign | Math.round(size / 2 ** -24);
  return sign | ((exponent + 15) << 10) | Math.round((size / 2 ** exponent - 1) * 1024);
}

let dir: string;
let checkpoint: CheckpointFolder;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "precis-safetensors-"));
  const floats = Float32Array.from(VALUES);
  const brain = Uint16Array.from(new Uint32Array(floats.buffer), (bits) => bits >>> 16);
  const halves = Uint16Array.from([...VALUES, SMALLEST, -SMALLEST], halfOf);
  const blocks = { F32: floats, BF16: brain, F16: halves };
  let at = 0;
  const header = Object.fromEntries(
    Object.entries(blocks).map(([dtype, block]) => {
      const from = at;
      at += block.byteLength;
      return [dtype.toLowerCase(), { dtype, shape: [block.length], data_offsets: [from, at] }];
    }),
  );
  // A length that leaves the numbers at an odd place in the file.
  const text = Buffer.from(JSON.stringify({ __metadata__: { format: "pt" }, ...header }).padEnd(331));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const data = Object.values(blocks).map((block) => new Uint8Array(block.buffer));
  await writeFile(join(dir, "model.safetensors"), Buffer.concat([length, text, ...data]));
  checkpoint = await openCheckpoint(dir);
});
afterAll(async () => {
  await checkpoint.close();
  await rm(dir, { recursive: true, force: true });
});

it.each(["f32", "bf16", "f16"])("reads %s whole and from the middle", async (name) => {
  expect([...(await checkpoint.read(name, 0, VALUES.length))]).toEqual(VALUES);
  expect([...(await checkpoint.read(name, 3, 2))]).toEqual(VALUES.slice(3, 5));
});

it("reads half floats without an exponent", async () => {
  expect([...(await checkpoint.read("f16", VALUES.length, 2))]).toEqual([SMALLEST, -SMALLEST]);
});

it("names what is missing or has another shape", () => {
  expect(() => checkpoint.check(new Map([["f32", [VALUES.length]]]))).not.toThrow();
  const wrong = new Map([
    ["f32", [3, 3]],
    ["absent", [1]],
  ]);
  expect(() => checkpoint.check(wrong)).toThrow(/f32 is \[9\], not \[3,3\]; absent is missing/);
});
