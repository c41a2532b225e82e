// The runtime's own C interface, called through koffi: a run writes into buffers that stay, keys and values in place.
import { createRequire } from "node:module";

type Pointer = object;
type Native = (...values: readonly unknown[]) => Pointer | null;
type Numbers = Float32Array | Int32Array | BigInt64Array;

/** What is used here of the package `koffi`, which lies beside this file and not among the engine's packages. */
interface Koffi {
  config(options: { readonly sync_stack_size: number }): void;
  load(file: string): { func(declaration: string): Native };
  array(type: string, length: number): unknown;
  proto(declaration: string): unknown;
  call(pointer: Pointer, prototype: unknown, ...values: readonly unknown[]): unknown;
  decode(pointer: Pointer, type: unknown): Pointer[];
  address(value: Pointer): bigint;
}

/** A dense row-major tensor over `data`, which the runtime reads and writes where it lies. */
export interface NativeTensor {
  readonly data: Numbers;
  readonly pointer: Pointer;
  readonly shape: BigInt64Array;
}

/** Version of the interface asked for. Its functions are numbered by their place in `OrtApi`, to which later ones are only added. */
const API_VERSION = 22;
const PLACES = 140;
const STACK_BYTES = 16 * 2 ** 20;

const FLOAT = 1;
const INT32 = 6;
const INT64 = 7;

export class OrtNative {
  readonly #koffi: Koffi;
  readonly #table: Pointer[];
  readonly #message: unknown;
  readonly #prototypes = new Map<number, unknown>();
  readonly #memory: Pointer;
  /** Held here, else it is unloaded when it is collected. */
  readonly library: unknown;

  /** `library` is the shared library's file. */
  constructor(library: string) {
    this.#koffi = createRequire(import.meta.url)("koffi") as Koffi;
    this.#koffi.config({ sync_stack_size: STACK_BYTES });
    const loaded = this.#koffi.load(library);
    this.library = loaded;
    const base = loaded.func("void* OrtGetApiBase()")();
    if (base === null) throw new Error(`${library} has no interface`);
    const [getApi] = this.#koffi.decode(base, this.#koffi.array("void*", 2)) as [Pointer];
    const api = this.#koffi.call(getApi, this.#koffi.proto("void* GetApi(uint32_t version)"), API_VERSION) as Pointer;
    this.#table = this.#koffi.decode(api, this.#koffi.array("void*", PLACES));
    this.#message = this.#koffi.proto("const char* GetErrorMessage(void* status)");
    this.#memory = this.#made(69, "void* CreateCpuMemoryInfo(int allocator, int type, _Out_ void** out)", 1, 0);
  }

  tensor(data: Numbers, dims: readonly number[]): NativeTensor {
    const shape = BigInt64Array.from(dims, BigInt);
    const type = data instanceof Float32Array ? FLOAT : data instanceof Int32Array ? INT32 : INT64;
    const declaration =
      "void* CreateTensorWithDataAsOrtValue(void* info, void* data, size_t bytes, void* shape, size_t rank, int type, _Out_ void** out)";
    const pointer = this.#made(49, declaration, this.#memory, data, data.byteLength, shape, dims.length, type);
    return { data, pointer, shape };
  }

  release(tensor: NativeTensor): void {
    this.#called(96, "void ReleaseValue(void* value)", tensor.pointer);
  }

  open(file: string, threads: number, inputs: readonly string[], outputs: readonly string[]) {
    const env = this.#made(3, "void* CreateEnv(int level, const char* name, _Out_ void** out)", 3, "kv");
    const options = this.#made(10, "void* CreateSessionOptions(_Out_ void** out)");
    this.#checked(24, "void* SetIntraOpNumThreads(void* options, int count)", options, threads);
    this.#checked(25, "void* SetInterOpNumThreads(void* options, int count)", options, 1);
    const entry = "void* AddSessionConfigEntry(void* options, const char* key, const char* value)";
    this.#checked(130, entry, options, "session.intra_op.allow_spinning", "0");
    const create = "void* CreateSession(void* env, const char* file, void* options, _Out_ void** out)";
    const session = this.#made(7, create, env, file, options);
    const runOptions = this.#made(39, "void* CreateRunOptions(_Out_ void** out)");
    const texts = [...inputs, ...outputs].map((name) => Buffer.from(`${name}\0`));
    const names = BigUint64Array.from(texts, (text) => this.#koffi.address(text));
    const inputNames = names.slice(0, inputs.length);
    const outputNames = names.slice(inputs.length);
    const run =
      "void* Run(void* session, void* options, void* input_names, void* inputs, size_t n, void* output_names, size_t m, void* outputs)";
    return {
      /** In the names' order; results lie in `results` afterwards. */
      run: (feeds: readonly NativeTensor[], results: readonly NativeTensor[]) => {
        const addresses = (tensors: readonly NativeTensor[]) =>
          BigUint64Array.from(tensors, ({ pointer }) => this.#koffi.address(pointer));
        const [ins, outs] = [addresses(feeds), addresses(results)];
        this.#checked(9, run, session, runOptions, inputNames, ins, feeds.length, outputNames, results.length, outs);
      },
      /** The runtime reads them at every run. */
      texts,
    };
  }

  #called(place: number, declaration: string, ...values: readonly unknown[]): unknown {
    let prototype = this.#prototypes.get(place);
    if (prototype === undefined) {
      prototype = this.#koffi.proto(declaration);
      this.#prototypes.set(place, prototype);
    }
    return this.#koffi.call(this.#table[place] as Pointer, prototype, ...values);
  }

  #checked(place: number, declaration: string, ...values: readonly unknown[]): void {
    const status = this.#called(place, declaration, ...values) as Pointer | null;
    if (status !== null) throw new Error(String(this.#koffi.call(this.#table[2] as Pointer, this.#message, status)));
  }

  /** The object that a function gives through its last parameter. */
  #made(place: number, declaration: string, ...values: readonly unknown[]): Pointer {
    const out: (Pointer | null)[] = [null];
    this.#checked(place, declaration, ...values, out);
    if (out[0] === null || out[0] === undefined) throw new Error(`the runtime's function ${place} gave nothing`);
    return out[0];
  }
}
