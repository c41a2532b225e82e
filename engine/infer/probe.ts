// Can a provider run what a reader is made of? It runs the tiny graph, alone, and its numbers must be the known ones.
import { messageOf } from "../errors.ts";
import { PROBE_LENGTHS, PROBE_TOLERANCE, type Precision, probeGraph, type WeightBits } from "./probeGraph.ts";
import type { Provider } from "./provider.ts";
import { openSession } from "./session.ts";

/** One kind of graph a provider runs rightly. */
export interface GraphKind {
  readonly precision: Precision;
  readonly bits: WeightBits;
}

/** What a provider said when it was asked. */
export interface Probe {
  readonly provider: string;
  /** Empty when it is of no use here. */
  readonly runs: readonly GraphKind[];
  /** For a person: what it runs, or why not. */
  readonly detail: string;
  readonly ms: number;
}

const KINDS: readonly GraphKind[] = [
  { precision: "float32", bits: 4 },
  { precision: "float32", bits: 8 },
  { precision: "float16", bits: 4 },
  { precision: "float16", bits: 8 },
];

/** A driver may end the process that asks it: call this in a process of its own, except for the CPU. */
export async function probeProvider(provider: Provider): Promise<Probe> {
  const started = performance.now();
  const runs: GraphKind[] = [];
  const faults: string[] = [];
  for (const kind of KINDS) {
    const fault = await faultOf(provider, kind);
    if (fault === undefined) runs.push(kind);
    else faults.push(fault);
  }
  const detail =
    runs.length === 0
      ? (faults[0] ?? "nothing was asked")
      : `runs the reader's operators: ${runs.map(({ precision, bits }) => `${precision} with ${bits}-bit weights`).join(", ")}`;
  return { provider: provider.name, runs, detail, ms: performance.now() - started };
}

/** Why the provider cannot run that kind; undefined when it can. */
async function faultOf(provider: Provider, kind: GraphKind): Promise<string | undefined> {
  for (const tokens of PROBE_LENGTHS) {
    const fault = await faultOver(tokens, provider, kind);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

async function faultOver(
  tokens: number,
  provider: Provider,
  { precision, bits }: GraphKind,
): Promise<string | undefined> {
  const { bytes, feeds, inputs, outputs, expected } = probeGraph(precision, bits, tokens);
  try {
    const { session } = await openSession(
      { bytes, file: "probe.onnx" },
      { providers: [provider], threads: 1, inputs, outputs, isStrict: true },
    );
    const { y } = await session.run(feeds);
    await session.close();
    const difference = largestDifference(y?.data as Float32Array, expected);
    return difference <= PROBE_TOLERANCE
      ? undefined
      : `its numbers are wrong by ${difference.toPrecision(2)} over ${tokens} tokens (${precision}, ${bits}-bit weights)`;
  } catch (error) {
    return (
      messageOf(error)
        .replace(/^PROVIDER_FAILED: .*?cannot run probe\.onnx: /, "")
        // The runtime puts the place in its own source before what it has to say.
        .replace(/^\S+\.cc:\d+ .* was (?:false|true)\. /s, "")
        .replace(/\s+/g, " ")
        .trim()
    );
  }
}

function largestDifference(actual: Float32Array, expected: Float32Array): number {
  let largest = actual.length === expected.length ? 0 : Number.POSITIVE_INFINITY;
  expected.forEach((value, n) => {
    const difference = Math.abs((actual[n] as number) - value);
    largest = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(largest, difference);
  });
  return largest;
}
