// Projector: node vectors -> pseudo-tokens, rows of the reader's input space (LlavaCode section 3; HEF section 3).
import type { Vector } from "../domain.ts";
import type { Problem } from "../errors.ts";
import { indexModelPath, type Pack } from "../pack/pack.ts";
import { splitRows } from "./encoder.ts";
import type { Runtime } from "./runtime.ts";
import { openSession } from "./session.ts";

export interface Projector {
  /** n vectors [vectorDim] -> n rows [perNode * readerDim], empty ones for a pack without a projector. */
  project(vectors: readonly Vector[]): Promise<Float32Array[]>;
  close(): Promise<void>;
}

export async function openProjector(
  pack: Pack,
  runtime: Runtime,
): Promise<{ projector: Projector; problems: Problem[] }> {
  const shape = pack.manifest.projector;
  // Nothing reads the rows of a pack without the mode that does.
  if (shape === undefined) {
    const projector: Projector = {
      project: async (vectors) => vectors.map(() => new Float32Array(0)),
      close: async () => {},
    };
    return { projector, problems: [] };
  }
  const { file, perNode, vectorDim, readerDim } = shape;
  const { session, problems } = await openSession(indexModelPath(pack, file), {
    ...runtime,
    inputs: [{ name: "vectors", type: "float32", dims: ["n", vectorDim] }],
    outputs: [{ name: "pseudo_tokens", type: "float32", dims: ["n", perNode, readerDim] }],
  });
  const project = async (vectors: readonly Vector[]): Promise<Float32Array[]> => {
    if (vectors.length === 0) return [];
    const data = new Float32Array(vectors.length * vectorDim);
    vectors.forEach((vector, n) => {
      data.set(vector, n * vectorDim);
    });
    const { pseudo_tokens } = await session.run({ vectors: { data, dims: [vectors.length, vectorDim] } });
    return splitRows(pseudo_tokens?.data as Float32Array, vectors.length, perNode * readerDim);
  };
  return { projector: { project, close: session.close }, problems };
}
