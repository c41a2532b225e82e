// Process entry: llama.cpp's own shared libraries, called through their C interface and timed around `llama_decode` alone, so
// that nothing of JavaScript is measured with it. Structures and functions are those of llama.h at v0.5.0.
import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { LlamaReply, LlamaRequest, LlamaStart } from "./llamaMessages.ts";

type Pointer = object;
type Native = (...values: readonly unknown[]) => unknown;

/** What is used here of the package `koffi`, which lies beside this file and not among the engine's packages. */
interface Koffi {
  load(file: string): { func(declaration: string): Native };
  struct(name: string, fields: Readonly<Record<string, unknown>>): unknown;
  array(type: string, length: number): unknown;
  proto(declaration: string): unknown;
  pointer(type: unknown): unknown;
  register(callback: () => void, type: unknown): unknown;
  decode(pointer: Pointer, type: unknown): Native;
}

/** Decoding spins for up to this long after its last token; the next program's turn comes after. */
const SPIN_MS = 400;
const CPU_DEVICE = 0;
const FLASH_ATTENTION = { on: 1, off: 0 } as const;

process.on("uncaughtException", (error) => {
  process.send?.({ error: error.message } satisfies LlamaReply, () => process.exit(1));
});

const require = createRequire(import.meta.url);
const start: LlamaStart = JSON.parse(process.argv[2] ?? "{}");
const folder = libraryFolder();
const koffi: Koffi = require("koffi");
declareStructures(koffi);
const base = koffi.load(libraryIn(folder, "ggml-base"));
const ggml = koffi.load(libraryIn(folder, "ggml"));
const llama = koffi.load(libraryIn(folder, "llama"));

const decode = llama.func("int llama_decode(void *ctx, llama_batch batch)");
const batchOf = llama.func("llama_batch llama_batch_get_one(int32_t *tokens, int32_t n_tokens)");
const synchronize = llama.func("void llama_synchronize(void *ctx)");
const logitsOf = llama.func("float *llama_get_logits_ith(void *ctx, int32_t i)");
const clear = llama.func("void llama_memory_clear(void *memory, bool data)");
const forget = llama.func("bool llama_memory_seq_rm(void *memory, int32_t seq, int32_t from, int32_t until)");

const context = openContext();
const memory = llama.func("void *llama_get_memory(void *ctx)")(context);
let length = 0;
let seed = 1;

/** Milliseconds from tokens to the last one's logits. */
function read(count: number): number {
  const tokens = Int32Array.from({ length: count }, () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed % start.vocabSize;
  });
  const batch = batchOf(tokens, count);
  const started = performance.now();
  const status = decode(context, batch);
  synchronize(context);
  const logits = logitsOf(context, -1);
  const ms = performance.now() - started;
  if (status !== 0 || logits === null) throw new Error(`llama_decode answered ${status}`);
  length += count;
  return ms;
}

function prefill(tokens: number): number {
  clear(memory, false);
  length = 0;
  return read(tokens);
}

/** What was there before is there after. */
function decodeSteps(past: number, steps: number): number {
  if (length !== past) prefill(past);
  let ms = 0;
  for (let step = 0; step < steps; step += 1) ms += read(1);
  forget(memory, 0, past, -1);
  length = past;
  return ms / steps;
}

function answer(request: LlamaRequest): LlamaReply {
  try {
    return { ms: request.kind === "prefill" ? prefill(request.tokens) : decodeSteps(request.past, request.steps) };
  } catch (error) {
    return { error: String(error) };
  }
}

process.on("message", (request: LlamaRequest) => {
  const reply = answer(request);
  setTimeout(() => process.send?.(reply), SPIN_MS);
});
process.on("disconnect", () => process.exit());
process.send?.({ ms: 0 } satisfies LlamaReply);

/** A context on the CPU, with threads that stay, as llama.cpp's own benchmark has them. */
function openContext(): unknown {
  // It would write a line for every node of its graphs.
  const log = koffi.pointer(koffi.proto("void llama_log(int level, const char *text, void *user)"));
  llama.func("void llama_log_set(llama_log *log, void *user)")(
    koffi.register(() => {}, log),
    null,
  );
  // The build holds a library for each kind of processor; this takes the one that suits.
  ggml.func("void ggml_backend_load_all_from_path(const char *folder)")(folder);
  llama.func("void llama_backend_init()")();
  const modelParams = llama.func("llama_model_params llama_model_default_params()")() as Record<string, unknown>;
  const model = llama.func("void *llama_model_load_from_file(const char *file, llama_model_params params)")(
    start.model,
    {
      ...modelParams,
      n_gpu_layers: 0,
    },
  );
  if (model === null) throw new Error(`llama.cpp cannot open ${start.model}`);
  const params = llama.func("llama_context_params llama_context_default_params()")() as Record<string, unknown>;
  const opened = llama.func("void *llama_init_from_model(void *model, llama_context_params params)")(model, {
    ...params,
    n_ctx: start.maxTokens,
    // One call may hold the whole prompt; it is computed in the default slices.
    n_batch: start.maxTokens,
    n_threads: start.threads,
    n_threads_batch: start.threads,
    flash_attn_type: start.flashAttention ? FLASH_ATTENTION.on : FLASH_ATTENTION.off,
    no_perf: true,
  });
  if (opened === null) throw new Error("llama.cpp gives no context");
  attachThreads(opened);
  return opened;
}

function attachThreads(opened: unknown): void {
  const device = ggml.func("void *ggml_backend_dev_by_type(int type)");
  const registry = base.func("void *ggml_backend_dev_backend_reg(void *device)");
  const address = base.func("void *ggml_backend_reg_get_proc_address(void *registry, const char *name)");
  const found = address(registry(cpuDevice(device)), "ggml_threadpool_new");
  const paramsOf = base.func("ggml_threadpool_params ggml_threadpool_params_default(int threads)");
  const type = koffi.proto("void *ggml_threadpool_new(ggml_threadpool_params *params)");
  const pool = koffi.decode(found as Pointer, type)(paramsOf(start.threads));
  llama.func("void llama_attach_threadpool(void *ctx, void *pool, void *batch_pool)")(opened, pool, null);
}

function cpuDevice(device: Native): unknown {
  const cpu = device(CPU_DEVICE);
  if (cpu === null) throw new Error("llama.cpp finds no CPU of its kinds");
  return cpu;
}

/** The one platform package that npm installed for this system. */
function libraryFolder(): string {
  const packages = join(import.meta.dirname, "node_modules", "@node-llama-cpp");
  const system = { win32: "win", darwin: "mac" }[process.platform as string] ?? process.platform;
  const name = readdirSync(packages).find((each) => each.startsWith(`${system}-${process.arch}`));
  if (name === undefined) throw new Error(`no llama.cpp for ${system}-${process.arch} in ${packages}`);
  const [only = ""] = readdirSync(join(packages, name, "bins"));
  return join(packages, name, "bins", only);
}

function libraryIn(path: string, stem: string): string {
  const file = readdirSync(path).find((each) =>
    new RegExp(`^(lib)?${stem}(\\.v[\\d.]+?)?\\.(so|dylib|dll)$`).test(each),
  );
  if (file === undefined) throw new Error(`no library ${stem} in ${path}`);
  return join(path, file);
}

function declareStructures(native: Koffi): void {
  native.struct("llama_batch", {
    n_tokens: "int32_t",
    token: "void *",
    embd: "void *",
    pos: "void *",
    n_seq_id: "void *",
    seq_id: "void *",
    logits: "void *",
  });
  native.struct("llama_model_params", {
    devices: "void *",
    tensor_buft_overrides: "void *",
    n_gpu_layers: "int32_t",
    split_mode: "int",
    load_mode: "int",
    lazy_mode: "int",
    main_gpu: "int32_t",
    tensor_split: "void *",
    progress_callback: "void *",
    progress_callback_user_data: "void *",
    kv_overrides: "void *",
    vocab_only: "bool",
    check_tensors: "bool",
    use_extra_bufts: "bool",
    no_host: "bool",
    no_alloc: "bool",
    load_mtp: "bool",
  });
  native.struct("llama_context_params", {
    n_ctx: "uint32_t",
    n_batch: "uint32_t",
    n_ubatch: "uint32_t",
    n_seq_max: "uint32_t",
    n_rs_seq: "uint32_t",
    n_outputs_max: "uint32_t",
    n_outputs_max_per_seq: "uint32_t",
    n_threads: "int32_t",
    n_threads_batch: "int32_t",
    ctx_type: "int",
    rope_scaling_type: "int",
    pooling_type: "int",
    attention_type: "int",
    flash_attn_type: "int",
    rope_freq_base: "float",
    rope_freq_scale: "float",
    yarn_ext_factor: "float",
    yarn_attn_factor: "float",
    yarn_beta_fast: "float",
    yarn_beta_slow: "float",
    yarn_orig_ctx: "uint32_t",
    defrag_thold: "float",
    cb_eval: "void *",
    cb_eval_user_data: "void *",
    type_k: "int",
    type_v: "int",
    abort_callback: "void *",
    abort_callback_data: "void *",
    embeddings: "bool",
    offload_kqv: "bool",
    no_perf: "bool",
    op_offload: "bool",
    swa_full: "bool",
    kv_unified: "bool",
    samplers: "void *",
    n_samplers: "size_t",
    ctx_other: "void *",
  });
  native.struct("ggml_threadpool_params", {
    cpumask: native.array("bool", 512),
    n_threads: "int",
    prio: "int",
    poll: "uint32_t",
    strict_cpu: "bool",
    paused: "bool",
  });
}
