// What a benchmark gives back, as tables for a terminal and as JSON; one shape for all of them.
import { cpus, totalmem } from "node:os";

export type Cell = string | number | null;

export interface Table {
  readonly title: string;
  /** Units stand in the column's name, such as `ttft ms`. */
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  /** What a reader must know to read the table: n, seed, threads, what is excluded. */
  readonly notes?: readonly string[];
}

export interface Report {
  readonly bench: string;
  readonly machine: { readonly cpu: string; readonly cores: number; readonly memoryGiB: number; readonly node: string };
  readonly tables: readonly Table[];
  /** Vega-Lite specifications, drawn below one another by `--plot`. */
  readonly plots: readonly object[];
}

export function report(bench: string, tables: readonly Table[], plots: readonly object[] = []): Report {
  const [first] = cpus();
  const machine = {
    cpu: first?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
  };
  return { bench, machine, tables, plots };
}

/** Columns aligned, numbers to the right. */
export function textOf({ machine, tables }: Report): string {
  const head = `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Node ${machine.node}`;
  return [head, ...tables.map(tableText)].join("\n\n");
}

function tableText({ title, columns, rows, notes = [] }: Table): string {
  const cells = [columns.map(String), ...rows.map((row) => row.map(cellText))];
  const widths = columns.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  const isNumber = columns.map((_, column) => rows.some((row) => typeof row[column] === "number"));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) =>
        isNumber[column] ? cell.padStart(widths[column] as number) : cell.padEnd(widths[column] as number),
      )
      .join("  ")
      .trimEnd();
  const [head = [], ...body] = cells;
  const rule = widths.map((width) => "-".repeat(width)).join("  ");
  return [title, line(head), rule, ...body.map(line), ...notes.map((note) => `  ${note}`)].join("\n");
}

/** Three significant digits: more would claim what a shared machine cannot show. */
function cellText(cell: Cell): string {
  if (cell === null) return "–";
  if (typeof cell === "string") return cell;
  if (Number.isInteger(cell) || Math.abs(cell) >= 1000) return String(Math.round(cell));
  return String(Number(cell.toPrecision(3)));
}
