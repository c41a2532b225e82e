// The pack's parity samples through the real sessions of this machine: do the graphs answer here what they answered in training?
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { EngineError } from "../errors.ts";
import type { Pack } from "../pack/pack.ts";
import { openRuntime } from "./runtime.ts";
import { openSession, type Tensor } from "./session.ts";
import { loadTokenizer } from "./tokenizer.ts";

interface ParityTensor {
  readonly shape: readonly number[];
  /** Inputs only; outputs are float32. */
  readonly dtype?: "float32" | "int32" | "int64";
  readonly data: readonly number[];
}

interface ParitySample {
  readonly inputs: Readonly<Record<string, ParityTensor>>;
  readonly outputs: Readonly<Record<string, ParityTensor>>;
  /** Largest absolute difference of an output number. */
  readonly tolerance: number;
}

export interface ParityFile {
  /** Graph file name -> samples. */
  readonly graphs: Readonly<Record<string, readonly ParitySample[]>>;
  readonly tokenizer: readonly { readonly text: string; readonly ids: readonly number[] }[];
}

export interface ParityReport {
  readonly samples: number;
  /** Largest difference met, as a share of its sample's tolerance. */
  readonly worst: number;
}

/** Throws `PACK_INCOMPATIBLE` naming the first graph or text that differs by more than its tolerance. */
export async function checkParity(pack: Pack, providers: readonly string[]): Promise<ParityReport> {
  const file: ParityFile = JSON.parse(await readFile(join(pack.dir, pack.manifest.parity), "utf8"));
  const tokenizer = await loadTokenizer(join(pack.dir, pack.manifest.tokenizer.file));
  for (const { text, ids } of file.tokenizer) {
    const here = tokenizer.encode(text, true);
    if (here.join() !== ids.join()) {
      throw new EngineError(
        "PACK_INCOMPATIBLE",
        `the tokenizer gives ${here.join(" ")} for ${JSON.stringify(text)}, the pack says ${ids.join(" ")}`,
      );
    }
  }
  const { runtime } = await openRuntime(providers, 1);
  let samples = file.tokenizer.length;
  let worst = 0;
  for (const [graph, ofGraph] of Object.entries(file.graphs)) {
    const { session } = await openSession(join(pack.dir, graph), { ...runtime, inputs: [], outputs: [] });
    for (const sample of ofGraph) {
      const feeds = Object.fromEntries(Object.entries(sample.inputs).map(([name, value]) => [name, toTensor(value)]));
      const results = await session.run(feeds);
      for (const [name, expected] of Object.entries(sample.outputs)) {
        const share = largestDifference(results[name], expected) / sample.tolerance;
        if (!(share <= 1)) {
          throw new EngineError(
            "PACK_INCOMPATIBLE",
            `${graph}: ${name} differs by ${(share * sample.tolerance).toExponential(2)}, tolerance ${sample.tolerance}`,
          );
        }
        worst = Math.max(worst, share);
      }
      samples += 1;
    }
    await session.close();
  }
  return { samples, worst };
}

function toTensor({ shape, dtype, data }: ParityTensor): Tensor {
  switch (dtype) {
    case "int32":
      return { data: Int32Array.from(data), dims: shape };
    case "int64":
      return { data: BigInt64Array.from(data, BigInt), dims: shape };
    default:
      return { data: Float32Array.from(data), dims: shape };
  }
}

/** Infinity when the shapes differ or a number is missing. */
function largestDifference(actual: Tensor | undefined, expected: ParityTensor): number {
  if (actual === undefined || actual.data.length !== expected.data.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  expected.data.forEach((value, n) => {
    const difference = Math.abs(Number(actual.data[n]) - value);
    largest = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(largest, difference);
  });
  return largest;
}
