// Process entry: one reader, its keys and values kept in several ways that take turns. A process of its own, since a wrong
// call of the runtime's C interface ends it.
import { createRequire } from "node:module";
import { arch, platform } from "node:os";
import { dirname, join } from "node:path";
import { median } from "../median.ts";
import type { KvReply, KvStart, KvTimes } from "./kvMessages.ts";
import { OrtNative } from "./ortNative.ts";

type Numbers = Float32Array | Int32Array | BigInt64Array | Int8Array;
type TypeName = "float32" | "int32" | "int64" | "int8";

interface RuntimeTensor {
  readonly data: Numbers;
}

/** What is used here of onnxruntime-node: the engine's own session has no preallocated outputs. */
interface Ort {
  readonly InferenceSession: {
    create(
      file: string,
      options: object,
    ): Promise<{ run(...values: readonly object[]): Promise<Record<string, RuntimeTensor>> }>;
  };
  readonly Tensor: new (type: TypeName, data: Numbers, dims: readonly number[]) => RuntimeTensor;
}

interface Lane {
  readonly name: string;
  forget(): void;
  /** Reads `count` more positions; answers the last one's logits. */
  step(count: number): Promise<Float32Array>;
}

const SLICE = 128;
/** Steps timed together. */
const STEPS = 8;

const require = createRequire(import.meta.url);
const start: KvStart = JSON.parse(process.argv[2] ?? "{}");
const { layers, kvHeads, headDim, readerDim, vocabSize } = start.shape;
const capacity = start.positions + STEPS * 6;
const dims = [1, kvHeads, capacity, headDim];
const parts = (stem: string) =>
  Array.from({ length: layers }, (_, layer) => [`${stem}.${layer}.key`, `${stem}.${layer}.value`]).flat();
const past = parts("past_key_values");
const present = parts("present");

const ort: Ort = require("onnxruntime-node");
const sessionOptions = {
  executionProviders: ["cpu"],
  intraOpNumThreads: start.threads,
  interOpNumThreads: 1,
  logSeverityLevel: 3,
  extra: { session: { intra_op: { allow_spinning: "0" } } },
};

/** Rows that every way reads alike. */
function rowsFrom(from: number, count: number): Float32Array {
  return Float32Array.from({ length: count * readerDim }, (_, n) => 0.06 * Math.sin((n + from * readerDim) * 12.9898));
}

function inputs(length: number, count: number): Record<string, RuntimeTensor> {
  return {
    inputs_embeds: new ort.Tensor("float32", rowsFrom(length, count), [1, count, readerDim]),
    seqlens_k: new ort.Tensor("int32", Int32Array.of(length + count - 1), [1]),
    total_sequence_length: new ort.Tensor("int32", Int32Array.of(length + count), []),
    logit_rows: new ort.Tensor("int64", BigInt64Array.of(BigInt(count - 1)), [1]),
  };
}

/** A run returns its new rows, which are written behind the kept ones: the engine's way. */
async function newRows(name: string, file: string, type: "float32" | "int8"): Promise<Lane> {
  const session = await ort.InferenceSession.create(file, sessionOptions);
  const size = kvHeads * capacity * headDim;
  const kept = past.map(() => (type === "float32" ? new Float32Array(size) : new Int8Array(size)));
  const feeds = Object.fromEntries(past.map((slot, n) => [slot, new ort.Tensor(type, kept[n] as Numbers, dims)]));
  let length = 0;
  return {
    name,
    forget: () => {
      length = 0;
    },
    step: async (count) => {
      const results = await session.run({ ...inputs(length, count), ...feeds });
      for (const [n, slot] of present.entries()) {
        const rows = results[slot]?.data as Float32Array;
        for (let head = 0; head < kvHeads; head += 1) {
          const own = rows.subarray(head * count * headDim, (head + 1) * count * headDim);
          kept[n]?.set(own, (head * capacity + length) * headDim);
        }
      }
      length += count;
      return results["logits"]?.data as Float32Array;
    },
  };
}

/** What a run returns is the next run's input. */
async function fedBack(): Promise<Lane> {
  const session = await ort.InferenceSession.create(start.graphs.whole, sessionOptions);
  const nothing = () => past.map(() => new ort.Tensor("float32", new Float32Array(0), [1, kvHeads, 0, headDim]));
  let kept = nothing();
  let length = 0;
  return {
    name: "all returned and fed back",
    forget: () => {
      kept = nothing();
      length = 0;
    },
    step: async (count) => {
      const feeds = Object.fromEntries(past.map((slot, n) => [slot, kept[n] as RuntimeTensor]));
      const results = await session.run({ ...inputs(length, count), ...feeds });
      kept = present.map((slot) => results[slot] as RuntimeTensor);
      length += count;
      return results["logits"]?.data as Float32Array;
    },
  };
}

/** One tensor is a run's past and its preallocated output. */
async function preallocated(): Promise<Lane> {
  const session = await ort.InferenceSession.create(start.graphs.whole, sessionOptions);
  const kept = past.map(() => new ort.Tensor("float32", new Float32Array(kvHeads * capacity * headDim), dims));
  const feeds = Object.fromEntries(past.map((slot, n) => [slot, kept[n] as RuntimeTensor]));
  const logits = new ort.Tensor("float32", new Float32Array(vocabSize), [1, 1, vocabSize]);
  const fetches = { logits, ...Object.fromEntries(present.map((slot, n) => [slot, kept[n] as RuntimeTensor])) };
  let length = 0;
  return {
    name: "preallocated outputs, in place",
    forget: () => {
      length = 0;
    },
    step: async (count) => {
      const results = await session.run({ ...inputs(length, count), ...feeds }, fetches);
      length += count;
      return results["logits"]?.data as Float32Array;
    },
  };
}

/** The same without the binding, which copies what a run returns. */
function throughC(): Lane {
  const native = new OrtNative(libraryOfRuntime());
  const names = ["inputs_embeds", "seqlens_k", "total_sequence_length", "logit_rows"];
  const session = native.open(start.graphs.whole, start.threads, [...names, ...past], ["logits", ...present]);
  const kept = past.map(() => native.tensor(new Float32Array(kvHeads * capacity * headDim), dims));
  const logits = new Float32Array(vocabSize);
  const results = [native.tensor(logits, [1, 1, vocabSize]), ...kept];
  let length = 0;
  return {
    name: "C interface, in place",
    forget: () => {
      length = 0;
    },
    step: async (count) => {
      const own = [
        native.tensor(rowsFrom(length, count), [1, count, readerDim]),
        native.tensor(Int32Array.of(length + count - 1), [1]),
        native.tensor(Int32Array.of(length + count), []),
        native.tensor(BigInt64Array.of(BigInt(count - 1)), [1]),
      ];
      session.run([...own, ...kept], results);
      for (const tensor of own) native.release(tensor);
      length += count;
      return logits.slice();
    },
  };
}

function libraryOfRuntime(): string {
  const folder = join(dirname(dirname(require.resolve("onnxruntime-node"))), "bin", "napi-v6", platform(), arch());
  const file = { darwin: "libonnxruntime.1.30.0.dylib", win32: "onnxruntime.dll" }[platform() as string];
  return join(folder, file ?? "libonnxruntime.so.1");
}

async function timesOf(lanes: readonly Lane[]): Promise<KvTimes[]> {
  const samples = lanes.map(() => ({ prefill: [] as number[], token: [] as number[], draft: [] as number[] }));
  const logits: Float32Array[] = [];
  const clocked = async (work: () => Promise<unknown>) => {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1000;
  };
  for (let repeat = 0; repeat <= start.repeats; repeat += 1) {
    for (let turn = 0; turn < lanes.length; turn += 1) {
      const n = (turn + repeat) % lanes.length;
      const lane = lanes[n] as Lane;
      lane.forget();
      const steps = (count: number) => async () => {
        for (let step = 0; step < STEPS; step += 1) logits[n] = await lane.step(count);
      };
      const prefill = await clocked(async () => {
        for (let from = 0; from < start.positions; from += SLICE)
          await lane.step(Math.min(SLICE, start.positions - from));
      });
      const token = (await clocked(steps(2))) / STEPS;
      const draft = (await clocked(steps(4))) / STEPS;
      // The first round warms up.
      if (repeat === 0) continue;
      samples[n]?.prefill.push(prefill);
      samples[n]?.token.push(token);
      samples[n]?.draft.push(draft);
    }
  }
  const [first = new Float32Array(0)] = logits;
  const most = first.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  return lanes.map(({ name }, n) => {
    const { prefill = [], token = [], draft = [] } = samples[n] ?? {};
    const apart = first.reduce((largest, value, at) => Math.max(largest, Math.abs(value - (logits[n]?.[at] ?? 0))), 0);
    return { name, prefill: median(prefill), token: median(token), draft: median(draft), difference: apart / most };
  });
}

async function run(): Promise<KvReply> {
  try {
    const lanes = [
      await newRows("new rows returned", start.graphs.rows, "float32"),
      await newRows("new rows returned, int8", start.graphs.int8, "int8"),
      await fedBack(),
      await preallocated(),
      throughC(),
    ];
    return { times: await timesOf(lanes) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

process.send?.(await run(), () => process.disconnect());
