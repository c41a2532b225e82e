// What crosses between the benchmark and a process that runs llama.cpp.

export interface LlamaStart {
  /** A GGUF file. */
  readonly model: string;
  readonly threads: number;
  readonly flashAttention: boolean;
  readonly vocabSize: number;
  /** Longest prompt and what is decoded after it. */
  readonly maxTokens: number;
}

export type LlamaRequest =
  | { readonly kind: "prefill"; readonly tokens: number }
  | { readonly kind: "decode"; readonly past: number; readonly steps: number };

export interface LlamaReply {
  /** Of a prefill, or of one token; 0 answers the start. */
  readonly ms?: number;
  readonly error?: string;
}
