// Worker thread entry: a helper of the kernels, which takes part in every pass until they are closed.
import { workerData } from "node:worker_threads";
import { Instance, type SharedMemory, type WasmModule } from "./webAssembly.ts";

/** What a helper is started with. */
export interface KernelThreadStart {
  readonly module: WasmModule;
  readonly memory: SharedMemory;
  /** From 1 on; 0 is the thread that asks. */
  readonly thread: number;
}

const { module, memory, thread } = workerData as KernelThreadStart;
const { help } = new Instance(module, { env: { memory } }).exports as { help: (thread: number) => void };
help(thread);
