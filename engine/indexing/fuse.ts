// Children's vectors -> parents' vectors (HEF algorithm 1): groups of up to `branching` siblings are fused, in rounds,
// until one is left. The nodes between a parent and its children stand for no span of their own and are not kept: every
// stored node is a chunk, a file, a directory or the repository.
import { createHash } from "node:crypto";
import type { Vector } from "../domain.ts";
import type { Models } from "../infer/models.ts";
import type { EmbeddedFile } from "./embed.ts";

/** Groups sent to the fuser at once. */
const BATCH = 32;

/** Groups whose parent is remembered, so that one changed file in a large folder costs one group a round. */
const REMEMBERED = 4096;

export class Fuser {
  readonly #models: Pick<Models, "fuse">;
  readonly #branching: number;
  readonly #known = new Map<string, Vector>();

  constructor(models: Pick<Models, "fuse">, branching: number) {
    this.#models = models;
    this.#branching = branching;
  }

  /** Each file's vector from those of its chunks; undefined for a file without chunks. */
  async fuseFiles(
    files: readonly EmbeddedFile[],
    signal?: AbortSignal,
  ): Promise<{ embedded: EmbeddedFile; vector: Vector | undefined }[]> {
    const full = files.filter(({ chunks }) => chunks.length > 0);
    const vectors = await this.fuse(
      full.map(({ chunks }) => chunks.map(({ vector }) => vector)),
      signal,
    );
    const vectorOf = new Map(full.map((file, n) => [file, vectors[n]]));
    return files.map((embedded) => ({ embedded, vector: vectorOf.get(embedded) }));
  }

  /**
   * Families [n] of 1 or more children -> parents [n]. An only child is fused too, so that a parent's vector always lies
   * in the fuser's space.
   */
  async fuse(families: readonly (readonly Vector[])[], signal?: AbortSignal): Promise<Vector[]> {
    const parents: Vector[] = new Array(families.length);
    let waiting = families.map((children, family) => ({ family, children }));
    while (waiting.length > 0) {
      const rounds = waiting.map(({ family, children }) => ({ family, groups: groupsOf(children, this.#branching) }));
      const fused = await this.#fuseGroups(
        rounds.flatMap(({ groups }) => groups),
        signal,
      );
      waiting = [];
      let taken = 0;
      for (const { family, groups } of rounds) {
        const children = fused.slice(taken, taken + groups.length);
        taken += groups.length;
        const [only] = children;
        if (children.length === 1 && only !== undefined) parents[family] = only;
        else waiting.push({ family, children });
      }
    }
    return parents;
  }

  async #fuseGroups(groups: readonly (readonly Vector[])[], signal?: AbortSignal): Promise<Vector[]> {
    const keys = groups.map(keyOf);
    const unknown = [...new Map(groups.map((group, index) => [keys[index] ?? "", group]))].filter(
      ([key]) => !this.#known.has(key),
    );
    const found = new Map<string, Vector>();
    for (let at = 0; at < unknown.length; at += BATCH) {
      const batch = unknown.slice(at, at + BATCH);
      const vectors = await this.#models.fuse(
        batch.map(([, group]) => group),
        signal,
      );
      for (const [index, [key]] of batch.entries()) found.set(key, rowOf(vectors, index));
    }
    const parents = keys.map((key) => found.get(key) ?? this.#known.get(key)).map((vector) => rowOf([vector], 0));
    this.#remember(found);
    return parents;
  }

  #remember(found: ReadonlyMap<string, Vector>): void {
    for (const [key, vector] of found) this.#known.set(key, vector);
    for (const key of this.#known.keys()) {
      if (this.#known.size <= REMEMBERED) break;
      this.#known.delete(key);
    }
  }
}

function groupsOf(children: readonly Vector[], branching: number): Vector[][] {
  const groups: Vector[][] = [];
  for (let at = 0; at < children.length; at += branching) groups.push(children.slice(at, at + branching));
  return groups;
}

function keyOf(group: readonly Vector[]): string {
  const hash = createHash("sha256");
  for (const { buffer, byteOffset, byteLength } of group) hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  return hash.digest("base64");
}

function rowOf(vectors: readonly (Vector | undefined)[], index: number): Vector {
  const vector = vectors[index];
  if (vector === undefined)
    throw new RangeError(`the fuser gave ${vectors.length} vectors, number ${index} is missing`);
  return vector;
}
