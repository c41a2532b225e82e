// A Qwen2-architecture GGUF file with random Q4_0 weights, for measuring speed alone: llama.cpp's own format and its fastest one.
import { type FileHandle, open, rename } from "node:fs/promises";
import type { Qwen2Shape } from "../../engine/pack/checkpoint.ts";

/** Numbers of types in the format: of values in the head, and of tensors. */
const VALUE = { uint32: 4, float32: 6, text: 8 } as const;
const FLOAT32 = 0;
const Q4_0 = 2;
/** A block of Q4_0: a half-precision scale, then 32 weights of 4 bits. */
const BLOCK = 32;
const BLOCK_BYTES = 18;
/** 2 ** -8 as a half float: weights lie within ± 1/32, as a trained model's do. */
const SCALE = 0x1c00;
const ALIGNMENT = 32;
/** Bytes held at a time: whole blocks and whole words. */
const HELD = BLOCK_BYTES * (1 << 18);

interface GgufTensor {
  readonly name: string;
  /** Innermost first, as the format has them. */
  readonly dims: readonly number[];
  /** Q4_0 when undefined, else float32 of this value. */
  readonly fill?: number;
}

/** Input and output table are two tensors, so that llama.cpp can repack the output's; every matrix is Q4_0. */
export async function writeGguf(file: string, shape: Qwen2Shape, seed: number): Promise<void> {
  const tensors = tensorsOf(shape);
  const aside = `${file}.${process.pid}`;
  const handle = await open(aside, "w");
  try {
    const head = headOf(shape, tensors);
    const start = aligned(head.length);
    await handle.write(head, 0, head.length, 0);
    let state = seed >>> 0;
    let at = start;
    for (const tensor of tensors) {
      state = await writeTensor(handle, at, tensor, state);
      at = aligned(at + bytesOf(tensor));
    }
    // The last tensor's padding counts as part of the file.
    await handle.truncate(at);
  } finally {
    await handle.close();
  }
  await rename(aside, file);
}

function tensorsOf({ layers, heads, kvHeads, headDim, readerDim, ffnDim, vocabSize }: Qwen2Shape): GgufTensor[] {
  const table = [readerDim, vocabSize];
  const layer = (n: number): GgufTensor[] => {
    const name = (part: string) => `blk.${n}.${part}`;
    const attention = (
      [
        ["q", heads],
        ["k", kvHeads],
        ["v", kvHeads],
      ] as const
    ).flatMap(([part, count]) => [
      { name: name(`attn_${part}.weight`), dims: [readerDim, count * headDim] },
      { name: name(`attn_${part}.bias`), dims: [count * headDim], fill: 0 },
    ]);
    return [
      { name: name("attn_norm.weight"), dims: [readerDim], fill: 1 },
      ...attention,
      { name: name("attn_output.weight"), dims: [heads * headDim, readerDim] },
      { name: name("ffn_norm.weight"), dims: [readerDim], fill: 1 },
      { name: name("ffn_gate.weight"), dims: [readerDim, ffnDim] },
      { name: name("ffn_up.weight"), dims: [readerDim, ffnDim] },
      { name: name("ffn_down.weight"), dims: [ffnDim, readerDim] },
    ];
  };
  return [
    { name: "token_embd.weight", dims: table },
    { name: "output_norm.weight", dims: [readerDim], fill: 1 },
    { name: "output.weight", dims: table },
    ...Array.from({ length: layers }, (_, n) => layer(n)).flat(),
  ];
}

function headOf(shape: Qwen2Shape, tensors: readonly GgufTensor[]): Buffer {
  const integers = {
    "general.file_type": 2,
    "general.quantization_version": 2,
    "qwen2.block_count": shape.layers,
    "qwen2.context_length": shape.maxTokens,
    "qwen2.embedding_length": shape.readerDim,
    "qwen2.feed_forward_length": shape.ffnDim,
    "qwen2.attention.head_count": shape.heads,
    "qwen2.attention.head_count_kv": shape.kvHeads,
    "qwen2.vocab_size": shape.vocabSize,
  };
  const floats = {
    "qwen2.attention.layer_norm_rms_epsilon": shape.normEpsilon,
    "qwen2.rope.freq_base": shape.ropeTheta,
  };
  const texts = {
    "general.architecture": "qwen2",
    "general.name": "random weights",
    "tokenizer.ggml.model": "no_vocab",
  };
  const count = Object.keys(integers).length + Object.keys(floats).length + Object.keys(texts).length;
  const parts = [Buffer.from("GGUF"), uint32(3), uint64(tensors.length), uint64(count)];
  for (const [key, value] of Object.entries(texts)) parts.push(text(key), uint32(VALUE.text), text(value));
  for (const [key, value] of Object.entries(integers)) parts.push(text(key), uint32(VALUE.uint32), uint32(value));
  for (const [key, value] of Object.entries(floats)) parts.push(text(key), uint32(VALUE.float32), float32(value));
  let offset = 0;
  for (const tensor of tensors) {
    parts.push(text(tensor.name), uint32(tensor.dims.length), ...tensor.dims.map(uint64));
    parts.push(uint32(tensor.fill === undefined ? Q4_0 : FLOAT32), uint64(offset));
    offset = aligned(offset + bytesOf(tensor));
  }
  return Buffer.concat(parts);
}

/** Answers the generator's state after it. */
async function writeTensor(handle: FileHandle, at: number, tensor: GgufTensor, seed: number): Promise<number> {
  const bytes = bytesOf(tensor);
  if (tensor.fill !== undefined) {
    const values = new Float32Array(bytes / 4).fill(tensor.fill);
    await handle.write(new Uint8Array(values.buffer), 0, bytes, at);
    return seed;
  }
  let state = seed;
  for (let from = 0; from < bytes; from += HELD) {
    const words = new Uint32Array(HELD / 4);
    for (let n = 0; n < words.length; n += 1) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      words[n] = state ^ (state >>> 15);
    }
    const blocks = Buffer.from(words.buffer);
    for (let block = 0; block < HELD; block += BLOCK_BYTES) blocks.writeUInt16LE(SCALE, block);
    await handle.write(blocks, 0, Math.min(HELD, bytes - from), at + from);
  }
  return state;
}

function bytesOf({ dims, fill }: GgufTensor): number {
  const count = dims.reduce((product, dim) => product * dim, 1);
  return fill === undefined ? (count / BLOCK) * BLOCK_BYTES : count * 4;
}

function aligned(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function float32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([uint64(bytes.length), bytes]);
}
