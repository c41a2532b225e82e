// The whole store, looked at: whether it is sound, and all it holds as one hash that is the same for the same index,
// whatever the order in which it was made.
import { createHash } from "node:crypto";
import type { Sql } from "./schema.ts";

export interface StoreCheck {
  /** What is wrong; empty for a sound store. */
  readonly faults: readonly string[];
  /** Rows that count: files, nodes, directories still to be fused. */
  readonly rows: number;
  /** Of those rows without their ids. */
  readonly digest: string;
}

const ROWS = [
  "SELECT path, hash, size, mtime_ms FROM files ORDER BY path",
  "SELECT path FROM stale ORDER BY path",
  `SELECT n.level, n.path, n.folder, n.start, n.end, n.start_line, n.end_line, n.text, n.features, n.identifiers, n.hash,
          v.precision, v.vector, p.precision AS coarseness, p.rows, s.names, s.code
   FROM nodes n LEFT JOIN vectors v ON v.id = n.id LEFT JOIN pseudo_tokens p ON p.id = n.id
   LEFT JOIN sketches s ON s.id = n.id
   ORDER BY n.path, n.level, n.start, n.end`,
];

/** Each gives rows only where two tables do not agree. */
const DISAGREEMENTS = {
  "nodes without a vector": "SELECT n.id FROM nodes n LEFT JOIN vectors v ON v.id = n.id WHERE v.id IS NULL",
  "vectors without a node": "SELECT v.id FROM vectors v LEFT JOIN nodes n ON n.id = v.id WHERE n.id IS NULL",
  "nodes without pseudo-tokens": "SELECT n.id FROM nodes n LEFT JOIN pseudo_tokens p ON p.id = n.id WHERE p.id IS NULL",
  "pseudo-tokens without a node":
    "SELECT p.id FROM pseudo_tokens p LEFT JOIN nodes n ON n.id = p.id WHERE n.id IS NULL",
  "nodes without a sketch": "SELECT n.id FROM nodes n LEFT JOIN sketches s ON s.id = n.id WHERE s.id IS NULL",
  "sketches without a node": "SELECT s.id FROM sketches s LEFT JOIN nodes n ON n.id = s.id WHERE n.id IS NULL",
  "chunks without words": "SELECT id FROM nodes WHERE level = 0 AND id NOT IN (SELECT rowid FROM words)",
  "words without a chunk": "SELECT rowid FROM words WHERE rowid NOT IN (SELECT id FROM nodes WHERE level = 0)",
  "names without a chunk": "SELECT rowid FROM names WHERE rowid NOT IN (SELECT id FROM nodes WHERE level = 0)",
  "chunks of no file": "SELECT id FROM nodes WHERE level < 2 AND path NOT IN (SELECT path FROM files)",
};

/** What is damaged, and where two tables do not agree. */
export function faultsOf(sql: Sql): string[] {
  const faults = (sql.prepare("PRAGMA integrity_check").pluck().all() as string[]).filter((line) => line !== "ok");
  for (const [fault, query] of Object.entries(DISAGREEMENTS)) {
    const found = sql.prepare(query).all().length;
    if (found > 0) faults.push(`${found} ${fault}`);
  }
  return faults;
}

export function checkStore(sql: Sql): StoreCheck {
  const faults = faultsOf(sql);
  const hash = createHash("sha256");
  let rows = 0;
  for (const query of ROWS) {
    for (const row of sql.prepare(query).iterate() as Iterable<Record<string, unknown>>) {
      rows += 1;
      for (const value of Object.values(row)) {
        if (value instanceof Uint8Array) hash.update(value);
        else hash.update(JSON.stringify(value));
        hash.update("\0");
      }
    }
  }
  return { faults, rows, digest: hash.digest("base64url") };
}
