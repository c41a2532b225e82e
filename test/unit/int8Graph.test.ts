// A graph made over for many positions at once: the same reader with other int8 matrices, where the CPU is faster with them.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDecoder } from "../../engine/infer/decoder.ts";
import { openVectorsEncoder } from "../../engine/infer/encoder.ts";
import { int8Graph } from "../../engine/infer/int8Graph.ts";
import { openRuntime } from "../../engine/infer/runtime.ts";
import { openSession } from "../../engine/infer/session.ts";
import { type Qwen2Shape, randomCheckpoint } from "../../engine/pack/checkpoint.ts";
import type { MatrixFormat } from "../../engine/pack/matrices.ts";
import { nodeOf, readOnnxModel } from "../../engine/pack/onnxModel.ts";
import { openPack } from "../../engine/pack/pack.ts";
import { fieldsOf } from "../../engine/pack/protobuf.ts";
import { writeReaderGraph } from "../../engine/pack/qwen2Graph.ts";

const SHAPE: Qwen2Shape = {
  layers: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 32,
  readerDim: 128,
  ffnDim: 192,
  vocabSize: 160,
  maxTokens: 64,
  ropeTheta: 10_000,
  normEpsilon: 1e-6,
};
const CHECKPOINT = randomCheckpoint(11);
const POSITIONS = 24;

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "precis-prompts-"));
  for (const format of ["q4", "q8", "int8", "fp32"] as const)
    await writeReaderGraph(join(dir, `${format}.onnx`), SHAPE, CHECKPOINT, format);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const fileOf = (format: MatrixFormat) => join(dir, `${format}.onnx`);

/** Logits of all positions of a prompt. */
async function read(format: MatrixFormat, kernels: boolean): Promise<Float32Array> {
  const { runtime } = await openRuntime(["cpu"], 1);
  const { decoder, problems } = await openDecoder(fileOf(format), { file: "", ...SHAPE }, { ...runtime, kernels });
  expect(problems).toEqual([]);
  const rows = await CHECKPOINT.read("rows", 0, POSITIONS * SHAPE.readerDim);
  const ids = Array.from({ length: POSITIONS }, (_, n) => n);
  const logits = (await decoder.read(rows, ids, POSITIONS)).slice();
  await decoder.close();
  return logits;
}

function farthest(a: Float32Array, b: Float32Array): number {
  return a.reduce((most, value, n) => Math.max(most, Math.abs(value - (b[n] as number))), 0);
}

/** How often each kind of node is there. */
function kindsOf(bytes: Uint8Array): Map<string, number> {
  const counts = new Map<string, number>();
  const graph = [...fieldsOf(bytes)].find(({ number }) => number === 7)?.bytes ?? new Uint8Array(0);
  for (const { number, bytes: node = new Uint8Array(0) } of fieldsOf(graph)) {
    if (number === 1) counts.set(nodeOf(node).kind, (counts.get(nodeOf(node).kind) ?? 0) + 1);
  }
  return counts;
}

describe("a graph made over", () => {
  it("has other matrices but the last, and quantises rows that two of them read once", async () => {
    const made = await int8Graph(fileOf("q8"));
    const kinds = kindsOf(made?.bytes ?? new Uint8Array(0));
    expect(kinds.get("MatMulIntegerToFloat")).toBe(5 * SHAPE.layers);
    expect(kinds.get("MatMulNBits")).toBe(1);
    expect(kinds.get("QuantizeLinear")).toBe(4 * SHAPE.layers);
    const { nodes } = await readOnnxModel(fileOf("q8"));
    expect(nodes.filter(({ kind }) => kind === "MatMulNBits")).toHaveLength(5 * SHAPE.layers + 1);
  });

  it("gives what the reader gives, as nearly as a graph written in int8", async () => {
    const exact = await read("fp32", false);
    const [made, written, asItIs] = [await read("q8", true), await read("int8", true), await read("q8", false)];
    expect(farthest(made, asItIs)).toBeGreaterThan(0);
    expect(farthest(made, exact)).toBeLessThan(1.5 * farthest(written, exact));
  });

  it("is not made where weights are no 8-bit blocks", async () => {
    for (const format of ["q4", "int8", "fp32"] as const) expect(await int8Graph(fileOf(format))).toBeUndefined();
  });

  it("gives the bundled encoder's vectors again, nearly", async () => {
    const pack = await openPack(join(import.meta.dirname, "../../packs/precis-python-small"));
    const { runtime } = await openRuntime(["cpu"], 1);
    const { graph } = await openVectorsEncoder(pack, runtime);
    const file = join(pack.dir, pack.manifest.encoder.file);
    const { session } = await openSession(file, { ...runtime, inputs: [], outputs: [] });
    for (const length of [1, 9, 100]) {
      const ids = Array.from({ length }, (_, n) => 300 + ((n * 131) % 700));
      const [made] = await graph.encodeRows([ids], 0);
      const { vectors } = await session.run({
        input_ids: { data: BigInt64Array.from(ids, BigInt), dims: [1, length] },
        lengths: { data: Int32Array.of(length), dims: [1] },
      });
      const written = vectors?.data as Float32Array;
      expect(made?.reduce((sum, value, n) => sum + value * (written[n] as number), 0)).toBeGreaterThan(0.99);
      expect(made).not.toEqual(written);
    }
    await graph.close();
    await session.close();
  });
});

it("a graph of the CPU's own that cannot be made is a problem, and the pack's is run", async () => {
  const { runtime } = await openRuntime(["cpu"], 1);
  const broken = () => Promise.reject(new Error("a broken disk"));
  const { session, problems } = await openSession(fileOf("q8"), { ...runtime, inputs: [], outputs: [], onCpu: broken });
  expect(problems).toEqual([{ code: "PROVIDER_FELL_BACK", detail: expect.stringMatching(/q8\.onnx: a broken disk/) }]);
  expect(session.provider).toBe("cpu");
  await session.close();
});
