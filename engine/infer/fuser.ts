// Fuser: up to `branching` sibling vectors -> their parent's vector (HEF section 3).
import type { Vector } from "../domain.ts";
import type { Problem } from "../errors.ts";
import { indexModelPath, type Pack } from "../pack/pack.ts";
import { splitRows } from "./encoder.ts";
import type { Runtime } from "./runtime.ts";
import { openSession } from "./session.ts";

export interface Fuser {
  /** n groups of 1..branching vectors [vectorDim] -> n vectors [vectorDim], unit length. */
  fuse(groups: readonly (readonly Vector[])[]): Promise<Vector[]>;
  close(): Promise<void>;
}

export async function openFuser(pack: Pack, runtime: Runtime): Promise<{ fuser: Fuser; problems: Problem[] }> {
  const { file, branching, vectorDim } = pack.manifest.fuser;
  const { session, problems } = await openSession(indexModelPath(pack, file), {
    ...runtime,
    inputs: [
      { name: "children", type: "float32", dims: ["n", branching, vectorDim] },
      { name: "lengths", type: "int32", dims: ["n"] },
    ],
    outputs: [{ name: "vectors", type: "float32", dims: ["n", vectorDim] }],
  });
  const fuse = async (groups: readonly (readonly Vector[])[]): Promise<Vector[]> => {
    if (groups.length === 0) return [];
    const children = new Float32Array(groups.length * branching * vectorDim);
    groups.forEach((group, n) => {
      if (group.length === 0 || group.length > branching) {
        throw new RangeError(`a group has ${group.length} children, the fuser takes 1 to ${branching}`);
      }
      group.forEach((vector, child) => {
        children.set(vector, (n * branching + child) * vectorDim);
      });
    });
    const { vectors } = await session.run({
      children: { data: children, dims: [groups.length, branching, vectorDim] },
      lengths: { data: Int32Array.from(groups, (group) => group.length), dims: [groups.length] },
    });
    return splitRows(vectors?.data as Float32Array, groups.length, vectorDim);
  };
  return { fuser: { fuse, close: session.close }, problems };
}
