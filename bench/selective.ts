// `precis bench selective TASKS --repos DIR`: what retrieval is worth where the most similar code has little in common
// with the query. Every task runs without and with retrieval; each threshold takes for every task the one of the two that
// it would have chosen, so that one run answers for all of them.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { parseSettings } from "../engine/config.ts";
import type { Mode } from "../engine/domain.ts";
import { startEngine } from "../engine/engine.ts";
import { drawTasks, evaluate, pairedBootstrap, readTasks, type TaskRow } from "../engine/evaluate.ts";
import type { Installation } from "../engine/installation.ts";
import type { Bench } from "./bench.ts";
import { mean, median } from "./median.ts";
import { type Cell, type Report, report, type Table } from "./report.ts";

interface Options {
  readonly args: readonly string[];
  readonly repos: string;
  readonly limit: number;
  readonly seed: number;
  readonly origin: string;
  readonly store?: string;
}

const MODES = ["full", "compressed"] as const;

/** Of `precis.retrieval.minOverlap`. The last retrieves nothing. */
const THRESHOLDS = [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 1.01];

export const selective: Bench = {
  name: "selective",
  description: "retrieval left out below a least overlap of identifiers: what it saves and what it costs",
  addOptions: (command: Command) =>
    command
      .argument("<tasks>", "RepoEval tasks, as JSON lines")
      .requiredOption("--repos <dir>", "folder that holds the repositories")
      .option("--limit <n>", "at most this many tasks", Number, 400)
      .option("--seed <n>", "seed of the draw", Number, 0)
      .option("--origin <prefix>", "only tasks whose origin starts so", "")
      .option("--store <dir>", "keep the indexes here; a temporary folder when absent"),
  run: (options, installation) => run(options as unknown as Options, installation),
};

/** One task: what each mode made of it, and the best overlap that was found for it. */
interface Weighed {
  readonly overlap: number;
  readonly of: ReadonlyMap<Mode, TaskRow>;
}

async function run(options: Options, installation: Installation): Promise<Report> {
  const scratch = mkdtempSync(join(tmpdir(), "precis-bench-"));
  const { settings } = parseSettings({});
  const engine = await startEngine({ packsDir: installation.packsDir, settings, workers: installation.workers });
  try {
    const all = await readTasks(options.args[0] ?? "");
    const tasks = drawTasks(
      all.filter(({ origin = "" }) => origin.startsWith(options.origin)),
      options.limit,
      options.seed,
    );
    const rows: TaskRow[] = [];
    await evaluate(engine, tasks, {
      reposDir: resolve(options.repos),
      modes: ["none", ...MODES],
      storeParent: resolve(options.store ?? scratch),
      settings: { ...settings, "retrieval.minOverlap": 0 },
      onRow: (row) => rows.push(row),
      onProgress: () => {},
    });
    const weighed = [...Map.groupBy(rows, ({ task_id }) => task_id).values()].map(weighedOf);
    const { id, version } = engine.pack.manifest;
    return report("selective", [
      ...MODES.map((mode) => tableOf(mode, weighed, `${id} ${version}, n = ${weighed.length}, seed ${options.seed}`)),
      overlapTable(weighed),
    ]);
  } finally {
    await engine.close();
    rmSync(scratch, { recursive: true, force: true });
  }
}

function weighedOf(rows: readonly TaskRow[]): Weighed {
  const of = new Map(rows.map((row) => [row.mode, row]));
  return { overlap: of.get("full")?.overlap ?? 0, of };
}

function tableOf(mode: (typeof MODES)[number], weighed: readonly Weighed[], setting: string): Table {
  const always = weighed.map(({ of }) => rowOf(of, mode));
  const rows = THRESHOLDS.map((threshold): Cell[] => {
    const chosen = weighed.map(({ overlap, of }) => rowOf(of, overlap < threshold ? "none" : mode));
    const [em, es] = (["em", "es"] as const).map((score) =>
      chosen.map((row, n) => 100 * (row[score] - (always[n]?.[score] ?? 0))),
    );
    return [
      threshold > 1 ? "never" : threshold === 0 ? "always" : String(threshold),
      100 * mean(weighed.map(({ overlap }) => (overlap < threshold ? 1 : 0))),
      100 * mean(chosen.map((row) => row.em)),
      mean(em ?? []),
      pairedBootstrap(em ?? []),
      100 * mean(chosen.map((row) => row.es)),
      mean(es ?? []),
      pairedBootstrap(es ?? []),
      mean(chosen.map((row) => row.promptTokens)) / mean(always.map((row) => row.promptTokens)),
      mean(chosen.map((row) => row.ttftMs)) / mean(always.map((row) => row.ttftMs)),
    ];
  });
  return {
    title: `Mode ${mode}, retrieved where the overlap is at least …`,
    columns: ["least overlap", "skipped %", "EM %", "Δ EM", "p", "ES %", "Δ ES", "p", "prompt tokens ×", "TTFT ×"],
    rows,
    notes: [
      `${setting}; differences and ratios against always retrieving, p by paired bootstrap over tasks`,
      "skipped tasks count with mode none's answer and time; measuring the overlap, a few milliseconds, is left out",
    ],
  };
}

/** What retrieval changes by how alike the most similar code is. */
function overlapTable(weighed: readonly Weighed[]): Table {
  const sorted = weighed.toSorted((a, b) => a.overlap - b.overlap);
  const parts = Array.from({ length: 5 }, (_, n) =>
    sorted.slice(Math.round((n * sorted.length) / 5), Math.round(((n + 1) * sorted.length) / 5)),
  );
  const gain = (part: readonly Weighed[], mode: Mode) =>
    mean(part.map(({ of }) => 100 * (rowOf(of, mode).es - rowOf(of, "none").es)));
  return {
    title: "What retrieval adds to ES, by overlap",
    columns: ["overlap", "n", "ES % of none", ...MODES.map((mode) => `Δ ES ${mode}`)],
    rows: parts.map((part) => [
      `${part[0]?.overlap.toFixed(2)} to ${part.at(-1)?.overlap.toFixed(2)}`,
      part.length,
      100 * mean(part.map(({ of }) => rowOf(of, "none").es)),
      ...MODES.map((mode) => gain(part, mode)),
    ]),
    notes: [`median overlap ${median(weighed.map(({ overlap }) => overlap)).toFixed(2)}`],
  };
}

function rowOf(of: Weighed["of"], mode: Mode): TaskRow {
  const row = of.get(mode);
  if (row === undefined) throw new RangeError(`no row of mode ${mode}`);
  return row;
}
