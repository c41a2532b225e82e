// What each step of the disk budget saves, and how many of the nearest chunks are still found after it.
import { cpSync } from "node:fs";
import type { Vector } from "../engine/domain.ts";
import { STEPS } from "../engine/store/precision.ts";
import { openStore, type StoreOptions } from "../engine/store/store.ts";
import { mean } from "./median.ts";
import type { Cell, Table } from "./report.ts";

const RECALL_AT = [8, 32] as const;

/** On a copy of the store of `options.dir`, made at `scratch`. */
export function precisionSteps(options: StoreOptions, scratch: string, queries: readonly Vector[]): Table {
  cpSync(options.dir, scratch, { recursive: true });
  const { store } = openStore({ ...options, dir: scratch, readOnly: false });
  try {
    const { room } = store;
    const first = room.step;
    const truth = queries.map((query) => idsOf(store.searchVectorsExactly(query, 32, { levels: ["chunk"] })));
    const { chunks } = store.stats();
    const rows: Cell[][] = [];
    for (let step = first; step < STEPS.length; step += 1) {
      if (step > first) {
        room.takeCoarserStep();
        room.convert(0, room.highestId);
        store.tidy(0);
      }
      const found = queries.map((query) => idsOf(store.searchVectors(query, 32, { levels: ["chunk"] })));
      const { vectors = "", pseudoTokens = "" } = STEPS[step] ?? {};
      rows.push([
        vectors,
        pseudoTokens,
        room.usedBytes / chunks,
        (100 * room.usedBytes) / chunks / Number(rows[0]?.[2] ?? room.usedBytes / chunks),
        ...RECALL_AT.map(
          (k) => 100 * mean(truth.map((ids, n) => shared(ids.slice(0, k), found[n]?.slice(0, k) ?? []) / k)),
        ),
      ]);
    }
    return {
      title: "Steps of the disk budget",
      columns: [
        "vectors",
        "pseudo-tokens",
        "bytes a chunk",
        "% of the first",
        ...RECALL_AT.map((k) => `recall@${k} %`),
      ],
      rows,
      notes: [
        `${chunks} real chunks, ${queries.length} queries; recall: of the nearest by the first step's numbers, every vector compared`,
      ],
    };
  } finally {
    store.close();
  }
}

function idsOf(found: readonly { readonly id: number }[]): number[] {
  return found.map(({ id }) => id);
}

function shared(a: readonly number[], b: readonly number[]): number {
  const known = new Set(b);
  return a.filter((id) => known.has(id)).length;
}
