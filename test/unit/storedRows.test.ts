// A reader's token rows out of its graph's file: the numbers that the graph gives.
import { copyFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openRuntime } from "../../engine/infer/runtime.ts";
import { openSession } from "../../engine/infer/session.ts";
import { openStoredRows } from "../../engine/infer/storedRows.ts";
import { tokenRows } from "../../engine/infer/tokenRows.ts";
import { type Qwen2Shape, randomCheckpoint } from "../../engine/pack/checkpoint.ts";
import { writeEmbedGraph, writeReaderGraph } from "../../engine/pack/qwen2Graph.ts";

const SHAPE: Qwen2Shape = {
  layers: 1,
  heads: 2,
  kvHeads: 1,
  headDim: 16,
  readerDim: 48,
  ffnDim: 64,
  vocabSize: 130,
  maxTokens: 16,
  ropeTheta: 10_000,
  normEpsilon: 1e-6,
};
const BUNDLED = join(import.meta.dirname, "../../packs/precis-python-small/embed.onnx");

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "precis-rows-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function expectGraphRows(file: string, readerDim: number, ids: readonly number[]): Promise<void> {
  const { runtime } = await openRuntime(["cpu"], 1);
  const { session } = await openSession(file, {
    ...runtime,
    inputs: [{ name: "input_ids", type: "int64", dims: [1, "T"] }],
    outputs: [{ name: "inputs_embeds", type: "float32", dims: [1, "T", readerDim] }],
  });
  const stored = await openStoredRows(file);
  try {
    expect(stored?.rows(ids)).toEqual(await tokenRows(session, ids));
    expect(stored?.rows([])).toEqual(new Float32Array(0));
  } finally {
    stored?.close();
    await session.close();
  }
}

describe("rows of a token table", () => {
  it("are the graph's where they are int8 times a scale", async () => {
    const file = join(dir, "int8.onnx");
    await writeEmbedGraph(file, SHAPE, randomCheckpoint(3), "q8");
    await expectGraphRows(file, SHAPE.readerDim, [0, SHAPE.vocabSize - 1, 7, 7, 64]);
  });

  it("are the graph's where they are float32", async () => {
    const file = join(dir, "fp32.onnx");
    await writeEmbedGraph(file, SHAPE, randomCheckpoint(3), "fp32");
    await expectGraphRows(file, SHAPE.readerDim, [SHAPE.vocabSize - 1, 0, 12]);
  });

  it("are the graph's in the bundled pack, whose file holds its constants itself", async () => {
    const copy = join(dir, "bundled.onnx");
    await copyFile(BUNDLED, copy);
    await expectGraphRows(copy, 256, [1, 4095, 500, 2]);
  });

  it("are left to the runtime where a graph does something else", async () => {
    const file = join(dir, "reader.onnx");
    await writeReaderGraph(file, SHAPE, randomCheckpoint(3), "fp32");
    expect(await openStoredRows(file)).toBeUndefined();
  });
});
