// The kernels that read the reader's tokens: they answer what the runtime answers, and the same however a row is read.
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { likeliest } from "../../engine/infer/choice.ts";
import { type Decoder, openDecoder } from "../../engine/infer/decoder.ts";
import { openRuntime } from "../../engine/infer/runtime.ts";
import { type Qwen2Shape, randomCheckpoint } from "../../engine/pack/checkpoint.ts";
import type { MatrixFormat } from "../../engine/pack/matrices.ts";
import { writeReaderGraph } from "../../engine/pack/qwen2Graph.ts";

const SHAPE: Qwen2Shape = {
  layers: 2,
  heads: 6,
  kvHeads: 2,
  headDim: 32,
  readerDim: 128,
  ffnDim: 160,
  vocabSize: 192,
  maxTokens: 96,
  ropeTheta: 10_000,
  normEpsilon: 1e-6,
};
const CHECKPOINT = randomCheckpoint(7);
const PAST = 37;
const TOKENS = 5;
const NOTHING = new Float32Array(0);
const FORMATS: readonly MatrixFormat[] = ["q4", "q8", "int8"];

let dir: string;
let rows: Float32Array;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "precis-kernels-"));
  rows = await CHECKPOINT.read("rows", 0, (PAST + TOKENS) * SHAPE.readerDim);
  for (const format of [...FORMATS, "fp32"] as const)
    await writeReaderGraph(join(dir, `${format}.onnx`), SHAPE, CHECKPOINT, format);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** With `PAST` positions read by the runtime; tokens with the weights of `tokens`, if any. */
async function open(format: MatrixFormat, threads = 1, tokens?: MatrixFormat): Promise<Decoder> {
  const { runtime } = await openRuntime(["cpu"], threads);
  const tokensFile = tokens === undefined ? {} : { tokensFile: `${tokens}.onnx` };
  const { decoder } = await openDecoder(join(dir, `${format}.onnx`), { file: "", ...tokensFile, ...SHAPE }, runtime);
  await begin(decoder);
  return decoder;
}

function input(count: number) {
  return { pseudoTokens: NOTHING, tokens: idsOf(0, count) };
}

function idsOf(from: number, until: number): Int32Array {
  return Int32Array.from({ length: until - from }, (_, n) => from + n);
}

function rowsOf(from: number, until: number): Float32Array {
  return rows.subarray(from * SHAPE.readerDim, until * SHAPE.readerDim);
}

async function begin(decoder: Decoder): Promise<void> {
  decoder.forget();
  decoder.rewindTo(input(PAST));
  await decoder.read(rowsOf(0, PAST), [...idsOf(0, PAST)], 1);
}

/** Logits behind `TOKENS` tokens, read as many at a time as `parts` says. */
async function read(decoder: Decoder, parts: readonly number[]): Promise<Float32Array> {
  const logits = new Float32Array(TOKENS * SHAPE.vocabSize);
  let from = 0;
  for (const count of parts) {
    const [first, last] = [PAST + from, PAST + from + count];
    const { logits: own, likeliest: found } = await decoder.readTokens(rowsOf(first, last), [...idsOf(first, last)]);
    found.forEach((one, row) => {
      const { sum, ...expected } = likeliest(own, row, SHAPE.vocabSize);
      expect(one).toMatchObject(expected);
      expect(Math.abs(one.sum / sum - 1)).toBeLessThan(1e-6);
    });
    logits.set(own, from * SHAPE.vocabSize);
    from += count;
  }
  return logits;
}

function farthest(a: Float32Array, b: Float32Array): number {
  const size = b.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return a.reduce((most, value, n) => Math.max(most, Math.abs(value - (b[n] as number))), 0) / size;
}

describe.each(FORMATS)("in %s", (format) => {
  it("the kernels answer what the runtime answers", async () => {
    const decoder = await open(format);
    expect(decoder.hasKernels).toBe(true);
    const own = await read(decoder, [TOKENS]);
    await begin(decoder);
    const ids = [...idsOf(PAST, PAST + TOKENS)];
    const expected = await decoder.read(rowsOf(PAST, PAST + TOKENS), ids, TOKENS);
    // Activations are rounded to 127 levels: one that lies between two falls to the other side.
    expect(farthest(own, expected)).toBeLessThan(0.03);
    await decoder.close();
  });

  it("a row's numbers do not hang on what it is read with, nor on how many threads read it", async () => {
    const [one, three] = [await open(format), await open(format, 3)];
    const whole = await read(one, [TOKENS]);
    await begin(one);
    expect(await read(one, [1, 1, 1, 1, 1])).toEqual(whole);
    expect(await read(three, [2, 3])).toEqual(whole);
    await begin(three);
    expect(await read(three, [1, 4])).toEqual(whole);
    await one.close();
    await three.close();
  });
});

it("tokens are read with weights of their own, behind what the runtime read", async () => {
  const [mixed, exact, short] = [await open("int8", 1, "q4"), await open("int8"), await open("q4")];
  const [own, long, four] = [await read(mixed, [TOKENS]), await read(exact, [TOKENS]), await read(short, [TOKENS])];
  // The keys and values behind them are better than those of q4 alone.
  expect(farthest(own, four)).toBeLessThan(farthest(own, long));
  expect(farthest(own, long)).toBeGreaterThan(0.01);
  await begin(mixed);
  await begin(exact);
  const ids = [...idsOf(PAST, PAST + TOKENS)];
  const prompt = (decoder: Decoder) => decoder.read(rowsOf(PAST, PAST + TOKENS), ids, TOKENS);
  expect(await prompt(mixed)).toEqual(await prompt(exact));
  for (const decoder of [mixed, exact, short]) await decoder.close();
});

it("what tokens left behind is forgotten by the next input, and by a shorter one", async () => {
  const decoder = await open("q8");
  const whole = await read(decoder, [TOKENS]);
  expect(decoder.length).toBe(PAST + TOKENS);
  expect(decoder.rewindTo(input(PAST + TOKENS))).toBe(PAST);
  expect(await read(decoder, [2, 3])).toEqual(whole);
  decoder.truncate(PAST + 1);
  const { logits: again } = await decoder.readTokens(rowsOf(PAST + 1, PAST + 2), [PAST + 1]);
  expect(again.slice()).toEqual(whole.slice(SHAPE.vocabSize, 2 * SHAPE.vocabSize));
  expect(decoder.rewindTo(input(PAST - 6))).toBe(PAST - 8);
  await decoder.close();
});

it("several inputs in turn have a cache each", async () => {
  const decoder = await open("int8", 2);
  const whole = await read(decoder, [TOKENS]);
  const other = { pseudoTokens: NOTHING, tokens: idsOf(50, 80) };
  decoder.rewindTo(other);
  await decoder.read(rowsOf(7, 37), [...other.tokens], 1);
  await decoder.readTokens(rowsOf(0, 1), [1]);
  decoder.rewindTo(input(PAST));
  await decoder.read(rowsOf(decoder.length, PAST), [...idsOf(decoder.length, PAST)], 1);
  expect(await read(decoder, [TOKENS])).toEqual(whole);
  await decoder.close();
});

it("a graph without kernels for its matrices is read by the runtime alone", async () => {
  const decoder = await open("fp32");
  expect(decoder.hasKernels).toBe(false);
  const own = await read(decoder, [2, 3]);
  await begin(decoder);
  const ids = [...idsOf(PAST, PAST + TOKENS)];
  expect(farthest(own, await decoder.read(rowsOf(PAST, PAST + TOKENS), ids, TOKENS))).toBeLessThan(1e-5);
  await decoder.close();
});

it("the compiled kernels are those of the sources", async () => {
  const root = new URL("../../", import.meta.url);
  const out = join(dir, "again.wasm");
  const compiler = new URL("node_modules/assemblyscript/bin/asc.js", root).pathname;
  const config = new URL("engine/infer/kernels/asconfig.json", root).pathname;
  await promisify(execFile)(process.execPath, [compiler, "--config", config, "--outFile", out], { cwd: root });
  expect(await readFile(out)).toEqual(await readFile(new URL("engine/infer/kernels/pass.wasm", root)));
});
