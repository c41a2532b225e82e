// Units (flat, nested by span) -> a tree over rows. Siblings never share a row: units on one row become one branch.
import type { Unit } from "../languages/languages.ts";
import type { Rows } from "./rows.ts";

export interface Branch {
  readonly unit: Unit;
  /** Rows `[from, to)`. */
  readonly from: number;
  to: number;
  branches: Branch[];
  readonly qualifiedName: string;
  /** A function directly inside a class, or that names the one it belongs to. */
  readonly isMethod: boolean;
}

export interface Tree {
  readonly branches: readonly Branch[];
  /** The innermost definition around the branches. */
  readonly owner?: Branch | undefined;
}

export function growTree(units: readonly Unit[], rows: Rows): Tree {
  const roots: Branch[] = [];
  const path: Branch[] = [];
  for (const unit of units) {
    while (path.length > 0 && (path.at(-1)?.unit.end ?? 0) <= unit.start) path.pop();
    const parent = path.at(-1);
    const siblings = parent === undefined ? roots : parent.branches;
    const from = rows.indexAt(unit.start);
    const to = rows.indexAt(Math.max(unit.start, unit.end - 1)) + 1;
    const before = siblings.at(-1);
    if (before !== undefined && from < before.to) {
      // `a = 1; b = 2`: no boundary between them, and what is inside stays closed.
      before.to = Math.max(before.to, to);
      before.branches = [];
      path.push({ ...before, unit, branches: [] });
      continue;
    }
    const owner = path.findLast((branch) => branch.unit.name !== "");
    const branch: Branch = {
      unit,
      from,
      to,
      branches: [],
      qualifiedName: joinNames(owner?.qualifiedName, joinNames(unit.scope, unit.name)),
      isMethod: unit.kind === "function" && (owner?.unit.kind === "class" || unit.scope !== ""),
    };
    siblings.push(branch);
    path.push(branch);
  }
  return { branches: roots };
}

function joinNames(outer: string | undefined, name: string): string {
  return outer === undefined || outer === "" || name === "" ? name || outer || "" : `${outer}.${name}`;
}
