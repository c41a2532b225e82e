// Nodes of every level by cosine, as HEF searches its tree (section 3). Where nodes above chunks are wanted they are
// proposed themselves; where only text is, each stands for its nearest chunk that is not there yet, at its own rank.
import { LEVELS, type Node, type Prompt, type Vector } from "../../domain.ts";
import { folderOf } from "../../store/records.ts";
import type { Store } from "../../store/store.ts";
import type { CreateRetriever, Scored, Wanted } from "../retrieve.ts";

/** Of a node and its parent both are proposed only if the lower-ranked comes so near to the other's cosine. */
const BOTH_EARN_IT = 0.02;

/** Chunks looked through for each node wanted. */
const CHUNKS_PER_NODE = 2;

export const create: CreateRetriever = ({ store, queryVector }) => ({
  asksModels: true,
  retrieve: async (prompt: Prompt, { k, levels }: Wanted, signal?: AbortSignal): Promise<readonly Scored[]> => {
    const vector = await queryVector(prompt, signal);
    if (vector === undefined) return [];
    const found = store.searchVectors(vector, k, { levels: LEVELS, exceptPath: prompt.path });
    const nodes = new Map(store.nodes(found.map(({ id }) => id)).map((node) => [node.id, node]));
    const ranked = found.flatMap(({ id, score }) => {
      const node = nodes.get(id);
      return node === undefined ? [] : [{ node, score }];
    });
    const isText = !levels.some((level) => level !== "chunk");
    return isText ? chunksOf(ranked, store, vector, prompt.path, k) : apart(ranked);
  },
});

interface Ranked {
  readonly node: Node;
  readonly score: number;
}

/** Each node above chunks gives way to its nearest chunk. */
function chunksOf(ranked: readonly Ranked[], store: Store, vector: Vector, exceptPath: string, k: number): Scored[] {
  const found = store.searchVectors(vector, k * CHUNKS_PER_NODE, { levels: ["chunk"], exceptPath });
  const chunks = store.nodes(found.map(({ id }) => id));
  const taken = new Set<number>();
  const proposed: Scored[] = [];
  for (const { node, score } of ranked) {
    const chunk = node.level === "chunk" ? node : chunks.find((each) => !taken.has(each.id) && isAbove(node, each));
    if (chunk === undefined || taken.has(chunk.id)) continue;
    taken.add(chunk.id);
    proposed.push({ id: chunk.id, score });
  }
  return proposed;
}

/** A node and its parent say much the same: the better one stays, both where they are nearly equally good. */
function apart(ranked: readonly Ranked[]): Scored[] {
  const kept: Ranked[] = [];
  for (const each of ranked) {
    const related = kept.find(({ node }) => isParent(node, each.node) || isParent(each.node, node));
    if (related === undefined || related.score - each.score <= BOTH_EARN_IT) kept.push(each);
  }
  return kept.map(({ node, score }) => ({ id: node.id, score }));
}

function isParent(upper: Node, lower: Node): boolean {
  if (upper.level === "file") return isAbove(upper, lower);
  return upper.level !== "chunk" && lower.level !== "chunk" && folderOf(lower.path) === upper.path;
}

function isAbove(upper: Node, lower: Node): boolean {
  if (upper.level === "chunk" || upper.id === lower.id) return false;
  if (upper.level === "file") return lower.level === "chunk" && lower.path === upper.path;
  return upper.path === "" || lower.path.startsWith(`${upper.path}/`);
}
