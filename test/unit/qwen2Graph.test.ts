// Graphs written here, run by the real runtime, against the same decoder in plain TypeScript.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openReader, type Reader } from "../../engine/infer/reader.ts";
import { openRuntime } from "../../engine/infer/runtime.ts";
import { openSession, type Session } from "../../engine/infer/session.ts";
import { type Qwen2Shape, randomCheckpoint } from "../../engine/pack/checkpoint.ts";
import type { MatrixFormat } from "../../engine/pack/matrices.ts";
import { writeEmbedGraph, writeReaderGraph } from "../../engine/pack/qwen2Graph.ts";
import { plainLogits } from "../plainDecoder.ts";

const SHAPE: Qwen2Shape = {
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  readerDim: 64,
  ffnDim: 96,
  vocabSize: 96,
  maxTokens: 64,
  ropeTheta: 10_000,
  normEpsilon: 1e-6,
};
const CHECKPOINT = randomCheckpoint(7);

/** Largest difference of a logit, as a share of the largest logit. */
const TOLERANCES: readonly (readonly [MatrixFormat, number])[] = [
  ["fp32", 1e-5],
  ["q8", 0.02],
  ["int8", 0.04],
  ["q4", 0.3],
];

let dir: string;
let rows: Float32Array;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "precis-graph-"));
  rows = await CHECKPOINT.read("rows", 0, 20 * SHAPE.readerDim);
  for (const [format] of TOLERANCES) await writeReaderGraph(join(dir, `${format}.onnx`), SHAPE, CHECKPOINT, format);
  await writeEmbedGraph(join(dir, "embed.onnx"), SHAPE, CHECKPOINT);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function open(file: string): Promise<Session> {
  const { runtime } = await openRuntime(["cpu"], 1);
  return (await openSession(join(dir, file), { ...runtime, inputs: [], outputs: [] })).session;
}

/** Logits of the last `asked` of `rows`, read with nothing cached. */
async function logitsOf(session: Session, count: number, asked: number): Promise<Float32Array> {
  const { layers, kvHeads, headDim, readerDim } = SHAPE;
  const past = Array.from({ length: layers }, (_, layer) => ["key", "value"].map((part) => [layer, part] as const));
  const results = await session.run({
    inputs_embeds: { data: rows.subarray(0, count * readerDim), dims: [1, count, readerDim] },
    seqlens_k: { data: Int32Array.of(count - 1), dims: [1] },
    total_sequence_length: { data: Int32Array.of(count), dims: [] },
    logit_rows: { data: BigInt64Array.from({ length: asked }, (_, n) => BigInt(count - asked + n)), dims: [asked] },
    ...Object.fromEntries(
      past
        .flat()
        .map(([layer, part]) => [
          `past_key_values.${layer}.${part}`,
          { data: new Float32Array(0), dims: [1, kvHeads, 0, headDim] },
        ]),
    ),
  });
  return results["logits"]?.data as Float32Array;
}

describe("a reader's graph", () => {
  it.each(TOLERANCES)("in %s answers as the plain decoder does", async (format, tolerance) => {
    const session = await open(`${format}.onnx`);
    const expected = await plainLogits(SHAPE, CHECKPOINT, rows);
    const actual = await logitsOf(session, 20, 3);
    await session.close();
    const size = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const last = expected.subarray(17 * SHAPE.vocabSize);
    expect(actual).toHaveLength(last.length);
    const worst = actual.reduce((most, value, n) => Math.max(most, Math.abs(value - (last[n] as number))), 0);
    expect(worst / size).toBeLessThan(tolerance);
  });
});

describe("a reader of written graphs", () => {
  const openOne = async (): Promise<Reader> => {
    const { runtime } = await openRuntime(["cpu"], 1);
    const manifest = { embed: { file: "embed.onnx" }, reader: { file: "int8.onnx", ...SHAPE } };
    return (await openReader({ dir, manifest }, runtime)).reader;
  };

  it("goes on from what it has read", async () => {
    const vocabulary = { lineBreaks: new Uint8Array(96), isBlank: new Uint8Array(96) };
    const options = { maxNewTokens: 6, stopTokens: [], maxLines: Number.POSITIVE_INFINITY };
    const nothing = new Float32Array(0);
    const tokens = Int32Array.from({ length: 20 }, (_, n) => (n * 31) % 96);
    const reader = await openOne();
    const fresh = await openOne();
    await reader.generate({ pseudoTokens: nothing, tokens: tokens.subarray(0, 12) }, options, vocabulary, () => false);
    const grown = await reader.generate({ pseudoTokens: nothing, tokens }, options, vocabulary, () => false);
    const cold = await fresh.generate({ pseudoTokens: nothing, tokens }, options, vocabulary, () => false);
    expect(grown.reusedTokens).toBe(12);
    expect(cold.reusedTokens).toBe(0);
    expect(grown.tokens).toEqual(cold.tokens);
    await reader.close();
    await fresh.close();
  });
});
