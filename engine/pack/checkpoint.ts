// A checkpoint's tensors under their Hugging Face names, read piece by piece so that no matrix need be held whole.

export interface Checkpoint {
  /** `count` numbers of tensor `name` from number `from` on, row-major. */
  read(name: string, from: number, count: number): Promise<Float32Array>;
}

/** A Qwen2-architecture decoder (arXiv 2407.10671, section 2.2). */
export interface Qwen2Shape {
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  /** Width of the residual stream. */
  readonly readerDim: number;
  /** Width of the MLP. */
  readonly ffnDim: number;
  readonly vocabSize: number;
  readonly maxTokens: number;
  readonly ropeTheta: number;
  readonly normEpsilon: number;
  /** Of the output matrix, `[vocabSize, readerDim]`; the token table's where it is not given. */
  readonly headTensor?: string;
}

/** Random weights of a trained checkpoint's size, the same for the same seed however they are read. For benchmarks. */
export function randomCheckpoint(seed: number): Checkpoint {
  return {
    read: async (name, from, count) => {
      const values = new Float32Array(count);
      if (name.endsWith("norm.weight")) return values.fill(1);
      const start = hashOf(name, seed);
      for (let n = 0; n < count; n += 1) values[n] = 0.06 * centred(start + from + n);
      return values;
    },
  };
}

/** FNV-1a. */
function hashOf(name: string, seed: number): number {
  let hash = 0x811c9dc5 ^ seed;
  for (let n = 0; n < name.length; n += 1) hash = Math.imul(hash ^ name.charCodeAt(n), 0x01000193);
  return hash >>> 0;
}

/** A number's place in a fixed random sequence in [-1, 1); the mixing is splitmix32's. */
function centred(place: number): number {
  let z = Math.imul(place | 0, 0x9e3779b9);
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return ((z ^ (z >>> 15)) >>> 0) / 2 ** 31 - 1;
}
