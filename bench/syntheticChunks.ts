// Real chunks -> any number of made ones with the statistics search depends on: lengths, how often identifiers come, how
// the number of different ones grows, and how vectors lie. Made from a seed, the same on every machine.
import type { AstFeatures, Vector } from "../engine/domain.ts";
import type { ChunkWrite } from "../engine/store/records.ts";
import type { Store } from "../engine/store/store.ts";
import { identifiersIn } from "../engine/store/words.ts";

export interface RealChunk {
  readonly text: string;
  readonly names: readonly string[];
  readonly vector: Vector;
}

/** A rare identifier becomes a new one in this share of made chunks, out of size / `NAMES_EACH` variants of it. */
const RENAMED_SHARE = 0.5;
const NAMES_EACH = 200;
/** In at most this many chunks, an identifier is rare. */
const RARE = 20;
/** A less common identifier gives way to any other, drawn by how often it comes, in this share. */
const EXCHANGED_SHARE = 0.1;
const COMMON_SHARE = 0.03;

/** Made vectors lie between two real ones, with noise of this size in each number. */
const MIXED = 0.35;
const NOISE = 0.02;

const CHUNKS_PER_FILE = 100;
const FILES_PER_FOLDER = 20;

const NO_FEATURES: AstFeatures = {
  kind: "text",
  qualifiedName: "",
  signature: "",
  defines: [],
  references: [],
  imports: [],
  linearised: "",
};

export function readRealChunks(store: Store): RealChunk[] {
  const chunks: RealChunk[] = [];
  for (const { id } of store.chunkIdentifiers()) {
    const [node] = store.nodes([id]);
    const vector = store.vectorOf(id);
    if (node !== undefined && vector !== undefined)
      chunks.push({ text: node.text, names: identifiersIn(node.text), vector });
  }
  return chunks;
}

/** Adds made chunks until the store holds `size`. */
export function fillStore(store: Store, real: readonly RealChunk[], size: number, seed: number): void {
  const random = randomOf(seed);
  const counts = new Map<string, number>();
  for (const { names } of real) for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  const bag = real.flatMap(({ names }) => names);
  const make = (): { text: string; vector: Vector } => {
    const like = drawn(real, random);
    const renamed = new Map<string, string>();
    for (const name of like.names) {
      const count = counts.get(name) ?? 0;
      if (count <= RARE && random() < RENAMED_SHARE)
        renamed.set(name, `${name}_${Math.floor((random() * size) / NAMES_EACH)}`);
      else if (count < real.length * COMMON_SHARE && random() < EXCHANGED_SHARE) renamed.set(name, drawn(bag, random));
    }
    const text = like.text.replace(/[\p{L}_][\p{L}\p{N}_]*/gu, (name) => renamed.get(name) ?? name);
    return { text, vector: mixed(like.vector, drawn(real, random).vector, random) };
  };
  for (let made = 0, file = 0; made < size; file += 1) {
    const count = Math.min(CHUNKS_PER_FILE, size - made);
    const chunks = Array.from({ length: count }, (_, n) => writeOf(make(), made + n));
    const path = `folder${Math.floor(file / FILES_PER_FOLDER)}/file${file}.py`;
    store.replaceFile({ path, hash: `${seed} ${file}`, size: count, mtimeMs: file }, chunks);
    made += count;
  }
}

function writeOf({ text, vector }: { text: string; vector: Vector }, n: number): ChunkWrite {
  const line = (n % CHUNKS_PER_FILE) * 10 + 1;
  const start = line * 100;
  return {
    chunk: {
      start,
      end: start + text.length,
      startLine: line,
      endLine: line + 9,
      text,
      tokens: 0,
      features: NO_FEATURES,
    },
    hash: String(n),
    isFresh: true,
    vector,
    pseudoTokens: new Float32Array(0),
  };
}

/** Unit length. */
function mixed(a: Vector, b: Vector, random: () => number): Vector {
  const vector = a.map((number, n) => number + MIXED * (b[n] ?? 0) + NOISE * normal(random));
  const length = Math.hypot(...vector);
  return vector.map((number) => number / length);
}

/** Nearly normal: four uniform numbers, mean 0, variance 1. */
function normal(random: () => number): number {
  return (random() + random() + random() + random() - 2) * Math.sqrt(3);
}

export function drawn<T>(list: readonly T[], random: () => number): T {
  const one = list[Math.floor(random() * list.length)];
  if (one === undefined) throw new RangeError("nothing to draw from");
  return one;
}

/** mulberry32: a small seeded generator of [0, 1). */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mix = Math.imul(state ^ (state >>> 15), state | 1);
    mix ^= mix + Math.imul(mix ^ (mix >>> 7), mix | 61);
    return ((mix ^ (mix >>> 14)) >>> 0) / 4294967296;
  };
}
