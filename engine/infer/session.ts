// The only importer of onnxruntime-node: build a session with provider fallback, check names and shapes, run.
import { basename, dirname } from "node:path";
import ort from "onnxruntime-node";
import { EngineError, messageOf, type Problem } from "../errors.ts";
import type { Provider } from "./provider.ts";

export type TensorNumbers = Float32Array | Int32Array | BigInt64Array;

/** A dense row-major tensor; `data` is handed to the runtime without a copy. */
export interface Tensor<T extends TensorNumbers = TensorNumbers> {
  readonly data: T;
  readonly dims: readonly number[];
}

/** A result that stays where the provider made it. Its numbers cannot be read; it can be an input of the same session. */
export interface DeviceTensor {
  readonly native: unknown;
  readonly dims: readonly number[];
  dispose(): void;
}

/** A graph that is no file of its own. */
export interface GraphBytes {
  readonly bytes: Uint8Array;
  /** The file it comes from; large constants lie beside it. */
  readonly file: string;
}

/** One expected input or output: dims are numbers where fixed, strings where free. */
export interface Slot {
  readonly name: string;
  readonly type: "float32" | "int32" | "int64";
  readonly dims: readonly (number | string)[];
}

/** An input or output as the graph has it; the type as the runtime names it. */
export interface GraphSlot {
  readonly name: string;
  readonly type: string;
  readonly dims: readonly (number | string)[];
}

export interface Session {
  readonly graph: { readonly inputs: readonly GraphSlot[]; readonly outputs: readonly GraphSlot[] };
  /** Name of the provider that took the graph. */
  readonly provider: string;
  /** Blocks the thread it is called on until done; onnxruntime-node has no asynchronous run. */
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, Tensor>>>;
  /** The same, with the outputs of `keptOnDevice` apart; whoever gets them disposes of them. */
  runOnDevice(feeds: Readonly<Record<string, Tensor | DeviceTensor>>): Promise<{
    readonly results: Readonly<Record<string, Tensor>>;
    readonly kept: Readonly<Record<string, DeviceTensor>>;
  }>;
  close(): Promise<void>;
}

export interface SessionOptions {
  /** In order of preference; the last one must work. */
  readonly providers: readonly Provider[];
  readonly threads: number;
  readonly inputs: readonly Slot[];
  readonly outputs: readonly Slot[];
  /** What the CPU runs instead, where something is faster there. */
  readonly onCpu?: () => Promise<string | GraphBytes | undefined>;
  /** Outputs left on the device, where the provider can. */
  readonly keptOnDevice?: readonly string[];
  /** Nothing may be left over to the CPU: the provider runs every node, or the session fails. */
  readonly isStrict?: boolean;
  /** Somebody waits for its runs: threads look out for the next node for a moment before they sleep. */
  readonly isUrgent?: boolean;
}

/**
 * How long a thread of an urgent session looks out, in microseconds. A reader's nodes follow one another more closely than a thread
 * wakes: its prefill takes a tenth less time. Longer gains little more, and where others want the core it costs a sixth.
 */
const LOOKOUT_US = 30;
/**
 * With so few queries a run as a slice has, products of whole matrices take 3 to 6 % less of a prefill than the runtime's
 * blocked attention, which saves memory where a run is long.
 */
const WITHOUT_BLOCKED_ATTENTION = "ORT_GQA_DISABLE_FLASH_ATTENTION";

/** Throws `PACK_INCOMPATIBLE` when the graph is not what the manifest says, `PROVIDER_FAILED` when none takes it. */
export async function openSession(
  source: string | GraphBytes,
  options: SessionOptions,
): Promise<{ session: Session; problems: Problem[] }> {
  const problems: Problem[] = [];
  const file = typeof source === "string" ? source : source.file;
  for (const provider of options.providers) {
    try {
      const own = provider.name === "cpu" ? await graphOnCpu(basename(file), options, problems) : undefined;
      const native = await createNative(own ?? source, provider, options);
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

/** Undefined where there is none; what keeps it from being made is a problem, since the other graph does the same. */
async function graphOnCpu(
  file: string,
  { onCpu }: SessionOptions,
  problems: Problem[],
): Promise<string | GraphBytes | undefined> {
  try {
    return await onCpu?.();
  } catch (error) {
    problems.push({ code: "PROVIDER_FELL_BACK", detail: `no graph of the CPU's own for ${file}: ${messageOf(error)}` });
    return undefined;
  }
}

function createNative(
  source: string | GraphBytes,
  provider: Provider,
  options: SessionOptions,
): Promise<ort.InferenceSession> {
  const { keptOnDevice = [], isStrict = false, isUrgent = false } = options;
  const { configuration = {}, ...tuning } = provider.sessionOptions ?? {};
  const own = provider.native === undefined ? [] : [provider.native];
  // For some names that it does not know the runtime computes on the CPU and says nothing.
  const known = ort.listSupportedBackends().map(({ name }) => name);
  for (const native of own) {
    const name = typeof native === "string" ? native : native.name;
    if (!known.includes(name)) return Promise.reject(new Error("the runtime for this system was built without it"));
  }
  process.env[WITHOUT_BLOCKED_ATTENTION] ??= "1";
  const isKept = provider.outputs === "device" && keptOnDevice.length > 0;
  const native: ort.InferenceSession.SessionOptions = {
    executionProviders: isStrict && own.length > 0 ? own : [...own, "cpu"],
    intraOpNumThreads: options.threads,
    interOpNumThreads: 1,
    // Patterns are kept for every length of input that was seen, and prompts have all lengths.
    enableMemPattern: false,
    logSeverityLevel: 3,
    ...tuning,
    ...(isKept
      ? {
          preferredOutputLocation: Object.fromEntries(
            options.outputs.map(({ name }) => [name, keptOnDevice.includes(name) ? "gpu-buffer" : "cpu"] as const),
          ),
        }
      : {}),
    extra: {
      session: {
        // Threads that look out for long, or between two runs, would take a core from the editor.
        intra_op: isUrgent ? { allow_spinning: "1", spin_duration_us: `${LOOKOUT_US}` } : { allow_spinning: "0" },
        force_spinning_stop: "1",
        ...configuration,
        ...(isStrict && own.length > 0 ? { disable_cpu_ep_fallback: "1" } : {}),
        ...(typeof source === "string" ? {} : { model_external_initializers_file_folder_path: dirname(source.file) }),
      },
    },
  };
  return typeof source === "string"
    ? ort.InferenceSession.create(source, native)
    : ort.InferenceSession.create(source.bytes, native);
}

function wrap(native: ort.InferenceSession, provider: string): Session {
  const run = async (feeds: Readonly<Record<string, Tensor | DeviceTensor>>) => {
    const wanted: Record<string, ort.Tensor> = {};
    for (const [name, tensor] of Object.entries(feeds)) wanted[name] = toNative(tensor);
    const results: Record<string, Tensor> = {};
    const kept: Record<string, DeviceTensor> = {};
    for (const [name, value] of Object.entries(await native.run(wanted))) {
      // Reading a tensor on the device would end the process: the binding throws where nothing can catch it.
      if (value.location === "gpu-buffer")
        kept[name] = { native: value, dims: value.dims, dispose: () => value.dispose() };
      else results[name] = { data: value.data as TensorNumbers, dims: value.dims };
    }
    return { results, kept };
  };
  return {
    graph: { inputs: slotsOf(native.inputMetadata), outputs: slotsOf(native.outputMetadata) },
    provider,
    run: async (feeds) => (await run(feeds)).results,
    runOnDevice: run,
    close: () => native.release(),
  };
}

function slotsOf(values: readonly ort.InferenceSession.ValueMetadata[]): GraphSlot[] {
  return values.map((value) =>
    value.isTensor
      ? { name: value.name, type: value.type, dims: value.shape }
      : { name: value.name, type: "", dims: [] },
  );
}

function toNative(tensor: Tensor | DeviceTensor): ort.Tensor {
  if ("native" in tensor) return tensor.native as ort.Tensor;
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
