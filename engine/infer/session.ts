// The only importer of onnxruntime-node: build a session with provider fallback, check names and shapes, run.
import { basename } from "node:path";
import ort from "onnxruntime-node";
import { EngineError, messageOf, type Problem } from "../errors.ts";
import type { Provider } from "./provider.ts";

export type TensorNumbers = Float32Array | Int32Array | BigInt64Array;

/** A dense row-major tensor; `data` is handed to the runtime without a copy. */
export interface Tensor<T extends TensorNumbers = TensorNumbers> {
  readonly data: T;
  readonly dims: readonly number[];
}

/** One expected input or output: dims are numbers where fixed, strings where free. */
export interface Slot {
  readonly name: string;
  readonly type: "float32" | "int32" | "int64";
  readonly dims: readonly (number | string)[];
}

export interface Session {
  /** Name of the provider that took the graph. */
  readonly provider: string;
  /** Blocks the thread it is called on until done; onnxruntime-node has no asynchronous run. */
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, Tensor>>>;
  close(): Promise<void>;
}

export interface SessionOptions {
  /** In order of preference; the last one must work. */
  readonly providers: readonly Provider[];
  readonly threads: number;
  readonly inputs: readonly Slot[];
  readonly outputs: readonly Slot[];
}

/** Throws `PACK_INCOMPATIBLE` when the graph is not what the manifest says, `PROVIDER_FAILED` when none takes it. */
export async function openSession(
  file: string,
  options: SessionOptions,
): Promise<{ session: Session; problems: Problem[] }> {
  const problems: Problem[] = [];
  for (const provider of options.providers) {
    try {
      const native = await ort.InferenceSession.create(file, {
        executionProviders: provider.executionProviders(),
        intraOpNumThreads: options.threads,
        interOpNumThreads: 1,
        // Spinning threads would take a core from the editor between two tokens.
        extra: { session: { intra_op: { allow_spinning: "0" } } },
        logSeverityLevel: 3,
      });
      checkGraph(basename(file), native, options);
      return { session: wrap(native, provider.name), problems };
    } catch (error) {
      if (error instanceof EngineError) throw error;
      problems.push({
        code: "PROVIDER_FELL_BACK",
        detail: `${provider.name} cannot run ${basename(file)}: ${messageOf(error)}`,
      });
    }
  }
  throw new EngineError("PROVIDER_FAILED", problems.map((problem) => problem.detail).join("; "));
}

function wrap(native: ort.InferenceSession, provider: string): Session {
  return {
    provider,
    run: async (feeds) => {
      const wanted: Record<string, ort.Tensor> = {};
      for (const [name, tensor] of Object.entries(feeds)) wanted[name] = toNative(tensor);
      const results: Record<string, Tensor> = {};
      for (const [name, value] of Object.entries(await native.run(wanted))) {
        results[name] = { data: value.data as TensorNumbers, dims: value.dims };
      }
      return results;
    },
    close: () => native.release(),
  };
}

function toNative(tensor: Tensor): ort.Tensor {
  const { data, dims } = tensor;
  if (data instanceof Float32Array) return new ort.Tensor("float32", data, dims);
  if (data instanceof Int32Array) return new ort.Tensor("int32", data, dims);
  return new ort.Tensor("int64", data, dims);
}

/** Names everything that differs at once, in the manifest's words instead of the runtime's. */
function checkGraph(
  file: string,
  native: ort.InferenceSession,
  expected: Pick<SessionOptions, "inputs" | "outputs">,
): void {
  const wrong = [
    ...differences("input", native.inputMetadata, expected.inputs),
    ...differences("output", native.outputMetadata, expected.outputs),
  ];
  if (wrong.length > 0) throw new EngineError("PACK_INCOMPATIBLE", `${file}: ${wrong.join("; ")}`);
}

function differences(
  kind: string,
  actual: readonly ort.InferenceSession.ValueMetadata[],
  expected: readonly Slot[],
): string[] {
  return expected.flatMap((slot) => {
    const found = actual.find((value) => value.name === slot.name);
    const shape = `${slot.type}[${slot.dims.join(", ")}]`;
    if (found === undefined) return [`${kind} ${slot.name} (${shape}) is missing`];
    if (!found.isTensor) return [`${kind} ${slot.name} is not a tensor`];
    const fits =
      found.type === slot.type &&
      found.shape.length === slot.dims.length &&
      slot.dims.every(
        (dim, axis) => typeof dim === "string" || typeof found.shape[axis] === "string" || found.shape[axis] === dim,
      );
    return fits ? [] : [`${kind} ${slot.name} is ${found.type}[${found.shape.join(", ")}], the manifest says ${shape}`];
  });
}
