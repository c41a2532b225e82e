// `precis bench replay`: real lines typed back key by key through the whole engine, against a fixed pause and no gate.
import { appendFile, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { Typing } from "../engine/completion/typing.ts";
import { parseSettings, type Settings } from "../engine/config.ts";
import { MODES, type Mode } from "../engine/domain.ts";
import { type Engine, startEngine } from "../engine/engine.ts";
import { EngineError } from "../engine/errors.ts";
import { type Installation, storeDirOf } from "../engine/installation.ts";
import type { Bench } from "./bench.ts";
import { type Arm, type Replayed, replay } from "./replaySession.ts";
import { type Cell, type Report, report, type Table } from "./report.ts";
import { drawTraces, type Trace } from "./traces.ts";
import { pythonFiles } from "./weighedRows.ts";

interface ReplayOptions {
  readonly sources: string;
  readonly traces: string;
  readonly skip: string;
  readonly seed: string;
  readonly mode: Mode;
  readonly gate: Settings["completion.gate"];
  readonly pack: string;
  readonly store: string;
  readonly rows?: string;
}

const FIXED_MS = 75;

/** Between two traces; longer than any rhythm, so that none runs into the next. */
const REST_MS = 60_000;

export const replayBench: Bench = {
  name: "replay",
  description: "real lines typed key by key: requests, what is shown, what was right, flicker",
  addOptions: (command: Command) =>
    command
      .requiredOption("--sources <dir>", "folders of Python sources the reader was not trained on")
      .option("--traces <count>", "edit traces", "200")
      .option("--skip <count>", "traces of the draw to leave out at its beginning", "0")
      .option("--seed <number>", "of the draw and the rhythm", "0")
      .option("--mode <mode>", "none, full or compressed", "full")
      .option("--gate <policy>", "of the engine's arm: off, balanced, strict", "balanced")
      .option("--pack <name>", "pack", "auto")
      .option("--store <dir>", "where the indexes are kept", ".precis-bench")
      .option("--rows <file>", "one JSON row a trace is added there; the report is of all rows in it"),
  run: (options, installation) => runReplay(options as unknown as ReplayOptions, installation),
};

async function runReplay(options: ReplayOptions, installation: Installation): Promise<Report> {
  if (!MODES.includes(options.mode)) throw new EngineError("USAGE", `no mode ${options.mode}`);
  const { mode, pack } = options;
  const settings: Settings & { readonly mode: Mode } = {
    ...parseSettings({}).settings,
    mode,
    pack,
    "execution.threads": 1,
  };
  const arms: readonly Arm[] = [
    { name: `fixed ${FIXED_MS} ms, no gate`, fixedMs: FIXED_MS, gate: "off" },
    { name: `precis, gate ${options.gate}`, gate: options.gate },
  ];
  const byFolder = await drawn(options);
  const engine = await startEngine({ packsDir: installation.packsDir, settings, workers: installation.workers });
  const rows: Replayed[] = [];
  try {
    for (const arm of arms) rows.push(...(await runArm(arm, byFolder, engine, settings, options)));
  } finally {
    await engine.close();
  }
  const all = options.rows === undefined ? rows : await keepAndRead(options.rows, rows);
  return reportOf(all, arms, options);
}

/** Traces from every folder in proportion to its files, with `--skip` taken off each draw's share. */
async function drawn({ sources, traces, skip, seed }: ReplayOptions): Promise<Map<string, Trace[]>> {
  const folders = (await readdir(sources, { withFileTypes: true })).filter((found) => found.isDirectory());
  const files = new Map<string, string[]>();
  for (const { name } of folders) files.set(name, await pythonFiles(join(sources, name)));
  const total = [...files.values()].reduce((sum, paths) => sum + paths.length, 0);
  const byFolder = new Map<string, Trace[]>();
  for (const [name, paths] of files) {
    const share = (count: string) => Math.round((Number(count) * paths.length) / total);
    const wanted = await drawTraces(join(sources, name), paths, share(skip) + share(traces), Number(seed));
    byFolder.set(name, wanted.slice(share(skip)));
  }
  return byFolder;
}

/** A workspace of its own for every arm and folder: neither may live on what the other was told. */
async function runArm(
  arm: Arm,
  byFolder: ReadonlyMap<string, readonly Trace[]>,
  engine: Engine,
  settings: Settings & { readonly mode: Mode },
  { sources, store }: ReplayOptions,
): Promise<Replayed[]> {
  const rows: Replayed[] = [];
  const typing = new Typing();
  let startAt = 0;
  for (const [name, traces] of byFolder) {
    if (traces.length === 0) continue;
    const root = join(sources, name);
    const workspace = await engine.openWorkspace({ root, storeDir: storeDirOf(store, root), settings });
    try {
      await workspace.index();
      for (const trace of traces) {
        rows.push(await replay(trace, arm, { workspace, settings, typing, startAt }));
        startAt += (trace.keys.at(-1)?.at ?? 0) + REST_MS;
      }
    } finally {
      workspace.close();
    }
    process.stderr.write(`${arm.name}: ${rows.length} traces\n`);
  }
  return rows;
}

async function keepAndRead(file: string, rows: readonly Replayed[]): Promise<Replayed[]> {
  await appendFile(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const text = await readFile(file, "utf8");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Replayed);
}

function reportOf(rows: readonly Replayed[], arms: readonly Arm[], { seed, mode, sources }: ReplayOptions): Report {
  const byArm = arms.map(({ name }): [string, Replayed[]] => [name, rows.filter((row) => row.arm === name)]);
  const [first = ["", []]] = byArm;
  const keys = sumOf(first[1], "keys");
  const notes = [
    `${first[1].length} traces of 1–5 lines, ${keys} keystrokes an arm, seed ${seed}, mode ${mode}, one inference thread, sources ${sources}`,
    "time of keys and pauses is simulated (lognormal rhythm); what is computed, and how long it takes, is run and measured",
    "right: what was typed next begins with the offer; given: characters shown before they were typed; flicker: gone within 300 ms",
  ];
  return report("replay", [measureTable(byArm, notes), silentTable(byArm)], [measurePlot(byArm), silentPlot(byArm)]);
}

type Counted = "keys" | "characters" | "asked" | "answered" | "computeMs" | "shown" | "right" | "flickered" | "given";

function sumOf(rows: readonly Replayed[], field: Counted): number {
  return rows.reduce((sum, row) => sum + row[field], 0);
}

/** Of one arm, by the name a reader sees. */
function measuresOf(rows: readonly Replayed[]): Record<string, number> {
  const keys = Math.max(1, sumOf(rows, "keys"));
  const shown = sumOf(rows, "shown");
  const ofShown = (field: Counted) => (100 * sumOf(rows, field)) / Math.max(1, shown);
  const latencies = rows.flatMap((row) => row.latencies).sort((a, b) => a - b);
  return {
    "computed / 100 keys": (100 * sumOf(rows, "asked")) / keys,
    "compute ms / 100 keys": (100 * sumOf(rows, "computeMs")) / keys,
    "answer p50 ms": latencies[latencies.length >> 1] ?? 0,
    "shown / 100 keys": (100 * shown) / keys,
    "right % of shown": ofShown("right"),
    "flicker % of shown": ofShown("flickered"),
    "flicker / 100 keys": (100 * sumOf(rows, "flickered")) / keys,
    "given % of characters": (100 * sumOf(rows, "given")) / Math.max(1, sumOf(rows, "characters")),
  };
}

function measureTable(byArm: readonly (readonly [string, Replayed[]])[], notes: string[]): Table {
  const measures = byArm.map(([, rows]) => measuresOf(rows));
  const rows = Object.keys(measures[0] ?? {}).map((name): Cell[] => {
    const values = measures.map((each) => each[name] ?? 0);
    const [fixed = 0, own = 0] = values;
    return [name, ...values.map((value) => Number(value.toPrecision(3))), fixed === 0 ? null : own / fixed];
  });
  return { title: "Typing replayed", columns: ["measure", ...byArm.map(([name]) => name), "ratio"], rows, notes };
}

function reasonsOf(rows: readonly Replayed[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const row of rows)
    for (const [reason, n] of Object.entries(row.silent)) counts.set(reason, (counts.get(reason) ?? 0) + n);
  return counts;
}

function silentTable(byArm: readonly (readonly [string, Replayed[]])[]): Table {
  const counts = byArm.map(([, rows]) => reasonsOf(rows));
  const keys = byArm.map(([, rows]) => Math.max(1, sumOf(rows, "keys")));
  const reasons = [...new Set(counts.flatMap((each) => [...each.keys()]))];
  const share = (n: number, reason: string) => (100 * (counts[n]?.get(reason) ?? 0)) / (keys[n] ?? 1);
  const rows = reasons
    .sort((a, b) => share(1, b) - share(1, a))
    .map((reason): Cell[] => [reason, ...byArm.map((_, n) => Number(share(n, reason).toPrecision(3)))]);
  return {
    title: "Why nothing was shown, times in 100 keys",
    columns: ["reason", ...byArm.map(([name]) => name)],
    rows,
  };
}

function measurePlot(byArm: readonly (readonly [string, Replayed[]])[]): object {
  const values = byArm.flatMap(([arm, rows]) =>
    Object.entries(measuresOf(rows)).map(([measure, value]) => ({
      arm,
      measure,
      value,
      label: String(value >= 1000 ? Math.round(value) : Number(value.toPrecision(3))),
    })),
  );
  return {
    title: "Typing replayed",
    data: { values },
    facet: { field: "measure", type: "nominal", title: null, sort: null },
    columns: 4,
    resolve: { scale: { y: "independent" } },
    spec: {
      width: 130,
      height: 150,
      layer: [
        { mark: "bar" },
        {
          mark: { type: "text", dy: -7 },
          encoding: { text: { field: "label", type: "nominal" } },
        },
      ],
      encoding: {
        x: { field: "arm", type: "nominal", axis: null },
        y: { field: "value", type: "quantitative", title: null },
        color: { field: "arm", type: "nominal", title: null, legend: { orient: "top", labelLimit: 300 } },
      },
    },
  };
}

function silentPlot(byArm: readonly (readonly [string, Replayed[]])[]): object {
  const values = byArm.flatMap(([arm, rows]) => {
    const keys = Math.max(1, sumOf(rows, "keys"));
    return [...reasonsOf(rows)].map(([reason, n]) => ({ arm, reason, value: (100 * n) / keys }));
  });
  return {
    title: "Why nothing was shown",
    data: { values },
    width: 420,
    height: { step: 11 },
    mark: "bar",
    encoding: {
      y: { field: "reason", type: "nominal", sort: "-x", title: null, axis: { labelLimit: 300 } },
      yOffset: { field: "arm", type: "nominal" },
      x: { field: "value", type: "quantitative", title: "times in 100 keys" },
      color: { field: "arm", type: "nominal", title: null, legend: { labelLimit: 300 } },
    },
  };
}
