// What is used of WebAssembly, which the language's own library does not declare without a browser's.

export interface SharedMemory {
  readonly buffer: SharedArrayBuffer;
}

/** Compiled code; threads can send it to one another. */
export type WasmModule = object;

interface WebAssemblyParts {
  readonly Memory: new (limits: {
    readonly initial: number;
    readonly maximum: number;
    readonly shared: true;
  }) => SharedMemory;
  readonly Module: new (code: Uint8Array) => WasmModule;
  readonly Instance: new (
    module: WasmModule,
    imports: { readonly env: { readonly memory: SharedMemory } },
  ) => { readonly exports: unknown };
}

export const { Memory, Module, Instance } = (globalThis as unknown as { WebAssembly: WebAssemblyParts }).WebAssembly;
