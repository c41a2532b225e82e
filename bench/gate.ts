// `precis bench gate`: fits a pack's gate on offers in files the reader never saw, and measures it on evaluation tasks.
import { writeFile } from "node:fs/promises";
import type { Command } from "commander";
import type { GateModel } from "../engine/completion/gate.ts";
import { readerHashOf } from "../engine/completion/openGate.ts";
import { parseSettings } from "../engine/config.ts";
import { MODES, type Mode } from "../engine/domain.ts";
import { startEngine } from "../engine/engine.ts";
import { EngineError } from "../engine/errors.ts";
import { drawTasks, readTasks } from "../engine/evaluate.ts";
import type { Installation } from "../engine/installation.ts";
import type { Bench } from "./bench.ts";
import {
  areaUnderCurve,
  atRecall,
  crossJudge,
  fitGate,
  isRight,
  type Judged,
  judge,
  offered,
  reliability,
  shownAt,
} from "./gateFit.ts";
import { coveragePlot, reliabilityPlot } from "./gatePlots.ts";
import { type Cell, type Report, report, type Table } from "./report.ts";
import { type Collecting, keepRow, readRows, rowsOfFolders, rowsOfTasks, type WeighedRow } from "./weighedRows.ts";

interface GateOptions {
  readonly fit?: string;
  readonly fitRows?: string;
  readonly n: string;
  readonly tasks?: string;
  readonly repos?: string;
  readonly origin: string;
  readonly limit: string;
  readonly mode: Mode;
  readonly taskRows?: string;
  readonly seed: string;
  readonly pack: string;
  readonly store: string;
  readonly write?: string;
}

/** Modes in the proportion in which the places of the fit are asked: the default mode most. */
const FIT_MODES: readonly Mode[] = ["full", "compressed", "full", "none", "full"];

const SYMBOL_FEATURES = ["unresolved", "unknownAttributes", "notInFile", "wrongCalls"];
const RECALLS = [1, 0.95, 0.9, 0.7, 0.5];
const BINS = 8;

export const gateBench: Bench = {
  name: "gate",
  description: "fit the pack's gate and measure it: coverage, precision, calibration",
  addOptions: (command: Command) =>
    command
      .option("--fit <dir>", "folders of Python sources the reader was not trained on, to fit on")
      .option("--fit-rows <file>", "where offers of the fit are kept; used again when --fit is not given")
      .option("--n <count>", "places drawn for the fit", "2000")
      .option("--tasks <file>", "tasks to measure on")
      .option("--repos <dir>", "the tasks' repositories")
      .option("--origin <name>", "only tasks of this origin; `published` takes published-redrawn too", "made")
      .option("--limit <count>", "at most so many tasks", "1000000")
      .option("--mode <mode>", "none, full or compressed, for the tasks", "full")
      .option("--task-rows <file>", "where offers of the tasks are kept; used again when --tasks is not given")
      .option("--seed <number>", "of every draw", "0")
      .option("--pack <name>", "pack", "auto")
      .option("--store <dir>", "where the indexes are kept", ".precis-bench")
      .option("--write <file>", "write the gate there, as a pack's gate.json"),
  run: (options, installation) => runGate(options as unknown as GateOptions, installation),
};

async function runGate(options: GateOptions, installation: Installation): Promise<Report> {
  if (!MODES.includes(options.mode)) throw new EngineError("USAGE", `no mode ${options.mode}`);
  const settings = { ...parseSettings({}).settings, pack: options.pack };
  const engine = await startEngine({ packsDir: installation.packsDir, settings, workers: installation.workers });
  try {
    const collecting = {
      engine,
      settings,
      storeParent: options.store,
      say: (line: string) => process.stderr.write(`${line}\n`),
    };
    const fitRows = offered(await rowsToFit(options, collecting));
    const taskRows = offered(await rowsToMeasure(options, collecting));
    if (fitRows.length === 0) throw new EngineError("USAGE", "give --fit, or --fit-rows of an earlier run");
    const { id, version } = engine.pack.manifest;
    const reader = readerHashOf(engine.pack);
    const fitted = `${id} ${version}; ${fitRows.length} offers, ${fitRows.filter(isRight).length} right, seed ${options.seed}`;
    const model = fitGate(fitRows, { reader, fitted });
    if (options.write !== undefined) await writeFile(options.write, `${JSON.stringify(model, null, 2)}\n`);
    const how = { reader, fitted, without: SYMBOL_FEATURES };
    const without = fitGate(fitRows, how);
    const ofTasks = (name: string, kind: WeighedRow["kind"]): Measured => {
      const rows = taskRows.filter((row) => row.kind === kind);
      return { name, rows, judged: judge(model, rows), unchecked: judge(without, rows, false) };
    };
    const sets: Measured[] = [
      {
        name: "other files",
        rows: fitRows,
        judged: crossJudge(fitRows, { reader, fitted }),
        unchecked: crossJudge(fitRows, how, false),
      },
      ofTasks("task lines", "line"),
      ofTasks("inside task lines", "rest"),
    ];
    return reportOf(
      model,
      sets.filter(({ rows }) => rows.length > 0),
      options,
    );
  } finally {
    await engine.close();
  }
}

async function rowsToFit(options: GateOptions, how: Omit<Collecting, "keep">): Promise<WeighedRow[]> {
  if (options.fit === undefined) return options.fitRows === undefined ? [] : readRows(options.fitRows);
  const { fitRows } = options;
  const keep = (row: WeighedRow) => keepRow(fitRows, row);
  return rowsOfFolders(options.fit, Number(options.n), FIT_MODES, Number(options.seed), { ...how, keep });
}

async function rowsToMeasure(options: GateOptions, how: Omit<Collecting, "keep">): Promise<WeighedRow[]> {
  const { tasks, repos, origin, limit, seed, taskRows } = options;
  if (tasks === undefined) return taskRows === undefined ? [] : readRows(taskRows);
  if (repos === undefined) throw new EngineError("USAGE", "--tasks wants --repos");
  const ofOrigin = (await readTasks(tasks)).filter((task) => task.origin?.startsWith(origin));
  const drawn = drawTasks(ofOrigin, Number(limit), Number(seed));
  const keep = (row: WeighedRow) => keepRow(taskRows, row);
  return rowsOfTasks(drawn, repos, options.mode, Number(seed), { ...how, keep });
}

/** Offers, what the gate thinks of each, and what a gate that was never told of names would. */
interface Measured {
  readonly name: string;
  readonly rows: readonly WeighedRow[];
  readonly judged: readonly Judged[];
  readonly unchecked: readonly Judged[];
}

function reportOf(model: GateModel, sets: readonly Measured[], options: GateOptions): Report {
  const notes = [
    `tasks: origin ${options.origin}, mode ${options.mode}, seed ${options.seed}; gate: ${model.fitted}`,
    "other files: those of the fit, each judged by a gate fitted to the rest of them (five folds)",
    "right: what follows in the file begins with the offer; exact: the rest of the line is the offer",
  ];
  const tables = [
    policyTable(model, sets, notes),
    calibrationTable(sets),
    symbolTable(sets),
    symbolCounts(sets),
    weightTable(model),
  ];
  const { balanced, strict } = model.thresholds;
  const byName = Object.fromEntries(sets.map(({ name, judged }) => [name, judged]));
  const bins = Object.fromEntries(sets.map(({ name, judged }) => [name, reliability(judged, BINS)]));
  return report("gate", tables, [coveragePlot(byName, { off: 0, balanced, strict }), reliabilityPlot(bins)]);
}

function percent(share: number): number {
  return Number((100 * share).toFixed(1));
}

function policyTable(model: GateModel, sets: readonly Measured[], notes: string[]): Table {
  const policies = { off: 0, ...model.thresholds };
  const rows = sets.flatMap(({ name, judged: each }) =>
    Object.entries(policies).map(([policy, threshold]): Cell[] => {
      const { n, coverage, precision, exact, recall } = shownAt(each, threshold);
      return [
        name,
        policy,
        threshold,
        each.length,
        n,
        percent(coverage),
        percent(precision),
        percent(exact),
        percent(recall),
      ];
    }),
  );
  return {
    title: "What each policy shows",
    columns: ["offers", "gate", "threshold", "n", "shown", "coverage %", "right %", "exact %", "kept of right %"],
    rows,
    notes: [
      ...notes,
      ...sets.map(({ name, judged }) => `area under the curve, ${name}: ${areaUnderCurve(judged).toFixed(3)}`),
    ],
  };
}

function calibrationTable(sets: readonly Measured[]): Table {
  return {
    title: "Calibration, in bins of equal size",
    columns: ["offers", "n", "stated %", "right %"],
    rows: sets.flatMap(({ name, judged }) =>
      reliability(judged, BINS).map((bin): Cell[] => [name, bin.n, percent(bin.predicted), percent(bin.observed)]),
    ),
  };
}

/** The same gate fitted without what the symbol check found. */
function symbolTable(sets: readonly Measured[]): Table {
  const rows = sets.flatMap(({ name, judged, unchecked }) =>
    RECALLS.map((recall): Cell[] => {
      const a = atRecall(judged, recall);
      const b = atRecall(unchecked, recall);
      return [
        name,
        percent(recall),
        percent(b.precision),
        percent(a.precision),
        percent(b.coverage),
        percent(a.coverage),
      ];
    }),
  );
  return {
    title: "Symbol check: precision at equal recall, without it (neither rule nor features) and with it",
    columns: ["offers", "recall ≥ %", "without: right %", "with: right %", "without: shown %", "with: shown %"],
    rows,
  };
}

/** What the check says by itself. */
function symbolCounts(sets: readonly Measured[]): Table {
  const rows = sets.flatMap(({ name, rows: each }) =>
    [...SYMBOL_FEATURES.map((feature) => [feature]), SYMBOL_FEATURES].map((findings): Cell[] => {
      const isFlagged = (row: WeighedRow) => findings.some((finding) => (row.features[finding] ?? 0) > 0);
      const flagged = each.filter(isFlagged);
      const rest = each.filter((row) => !isFlagged(row));
      const right = (rows: readonly WeighedRow[]) => rows.filter(isRight).length;
      const share = (rows: readonly WeighedRow[]) => percent(right(rows) / Math.max(1, rows.length));
      const title = findings.length === 1 ? (findings[0] ?? "") : "any";
      return [name, title, each.length, flagged.length, right(flagged), share(flagged), share(each), share(rest)];
    }),
  );
  return {
    title: "Symbol check: offers with a finding, how many of them were right all the same, and all offers without them",
    columns: ["offers", "finding", "n", "found in", "right", "right %", "right % of all", "right % of the rest"],
    rows,
  };
}

function weightTable(model: GateModel): Table {
  const rows = Object.entries(model.features)
    .sort((a, b) => Math.abs(b[1].weight) - Math.abs(a[1].weight))
    .map(([name, { mean, scale, weight }]): Cell[] => [name, weight, mean, scale]);
  return {
    title: `Weights of standardised features; bias ${model.bias}`,
    columns: ["feature", "weight", "mean", "scale"],
    rows,
  };
}
