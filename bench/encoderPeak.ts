// How near the encoder comes to what its matrices alone would take: texts a session reads, beside bare products of the
// same shapes in the same runtime, format and number of threads.
import { mkdtempSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Engine } from "../engine/engine.ts";
import { int8Graph } from "../engine/infer/int8Graph.ts";
import { openRuntime, type Runtime } from "../engine/infer/runtime.ts";
import { openSession } from "../engine/infer/session.ts";
import { randomCheckpoint } from "../engine/pack/checkpoint.ts";
import { addMatrix } from "../engine/pack/matrices.ts";
import { createGraph } from "../engine/pack/onnxGraph.ts";
import { median } from "./median.ts";
import { type GraphMatrix, matricesPerPosition } from "./onnxMatrices.ts";

export interface EncoderShare {
  /** Positions a second, tokenizing included. */
  readonly tokensPerSecond: number;
  /** 10^9 multiplications and additions a second, of the matrices alone. */
  readonly gflops: number;
  readonly peakGflops: number;
  /** `gflops / peakGflops`. */
  readonly share: number;
  readonly meanTokens: number;
}

/** Rounds over the same texts and products; the median counts. */
const ROUNDS = 5;
/** Products timed together, so that a call's own cost is spread. */
const REPEATS = 20;

export async function measureEncoder(engine: Engine, texts: readonly string[], threads: number): Promise<EncoderShare> {
  const { pack, tokenizer, models } = engine;
  const { file, maxTokens } = pack.manifest.encoder;
  const tokens = texts.reduce((sum, each) => sum + Math.min(maxTokens, tokenizer.encode(each).length), 0);
  const meanTokens = Math.max(1, Math.round(tokens / texts.length));
  const path = join(pack.dir, file);
  const matrices = matricesPerPosition((await int8Graph(path))?.bytes ?? (await readFile(path)));
  const flopsPerToken = matrices.reduce((sum, { inputs, outputs }) => sum + 2 * inputs * outputs, 0);
  const { runtime } = await openRuntime(["cpu"], threads);
  const seconds: number[] = [];
  const bare: number[] = [];
  // In turns, so that whatever else the machine does falls on both.
  for (let round = 0; round < ROUNDS; round += 1) {
    const startedAt = performance.now();
    for (let at = 0; at < texts.length; at += 16) await models.encode(texts.slice(at, at + 16), "indexing");
    seconds.push((performance.now() - startedAt) / 1000);
    bare.push(await secondsOfProducts(matrices, meanTokens, runtime));
  }
  const gflops = (tokens * flopsPerToken) / median(seconds) / 1e9;
  const peakGflops = (meanTokens * flopsPerToken) / median(bare) / 1e9;
  return { tokensPerSecond: tokens / median(seconds), gflops, peakGflops, share: gflops / peakGflops, meanTokens };
}

/** Of every matrix once, over `positions` rows. */
async function secondsOfProducts(matrices: readonly GraphMatrix[], positions: number, runtime: Runtime) {
  let sum = 0;
  const times = new Map<string, number>();
  for (const matrix of matrices) {
    const key = `${matrix.inputs}x${matrix.outputs}x${matrix.format}`;
    const known = times.get(key) ?? (await secondsOfProduct(matrix, positions, runtime));
    times.set(key, known);
    sum += known;
  }
  return sum;
}

async function secondsOfProduct({ inputs, outputs, format }: GraphMatrix, positions: number, runtime: Runtime) {
  const dir = mkdtempSync(join(tmpdir(), "precis-product-"));
  const file = join(dir, "product.onnx");
  try {
    await createGraph(file, "product", async (graph) => {
      graph.input("x", "float32", [1, "t", inputs]);
      const matrix = { name: "m", parts: [{ tensor: "m", rows: outputs }], inputs };
      await addMatrix(graph, "x", matrix, format, randomCheckpoint(1), "y");
      graph.output("y", "float32", [1, "t", outputs]);
    });
    const { session } = await openSession(file, {
      ...runtime,
      inputs: [{ name: "x", type: "float32", dims: [1, "t", inputs] }],
      outputs: [{ name: "y", type: "float32", dims: [1, "t", outputs] }],
    });
    const data = Float32Array.from({ length: positions * inputs }, (_, n) => Math.sin(n));
    const run = () => session.run({ x: { data, dims: [1, positions, inputs] } });
    await run();
    const startedAt = performance.now();
    for (let n = 0; n < REPEATS; n += 1) await run();
    const seconds = (performance.now() - startedAt) / 1000 / REPEATS;
    await session.close();
    return seconds;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
