// `precis bench typing`: real files typed character by character, a request at every one. What is kept between requests?
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type Command, Option } from "commander";
import { ASKED_BY_HAND, type Signals } from "../engine/completion/signals.ts";
import { parseSettings } from "../engine/config.ts";
import { MODES, type Mode } from "../engine/domain.ts";
import { startEngine, type Workspace } from "../engine/engine.ts";
import { EngineError } from "../engine/errors.ts";
import type { Installation } from "../engine/installation.ts";
import type { Bench } from "./bench.ts";
import { median, quantile } from "./median.ts";
import { pythonFiles } from "./pythonFiles.ts";
import { randomOf } from "./random.ts";
import { type Cell, type Report, report, type Table } from "./report.ts";

interface Options {
  readonly source: string;
  readonly files: number;
  readonly lines: number;
  readonly modes: readonly Mode[];
  readonly seed: number;
  readonly threads: number;
}

/** Every how many keystrokes the engine that keeps nothing is asked too: it is slow, and always as slow. */
const FRESH_EVERY = 8;

/** A file needs this many lines above and below the typed ones, so that both windows are full of real text. */
const SURROUNDING_LINES = 30;

const TYPED: Signals = { ...ASKED_BY_HAND, trigger: "automatic", languageId: "python", lastChange: "typed" };

export const typing: Bench = {
  name: "typing",
  description: "files typed character by character: share of the prompt taken over, time to the first token",
  addOptions: (command: Command) =>
    command
      .requiredOption("--source <dir>", "a folder of Python files: indexed, and parts of it typed anew")
      .option("--files <n>", "files typed in", Number, 8)
      .option("--lines <n>", "lines typed in each file", Number, 6)
      .addOption(new Option("--modes <modes...>", "modes asked").choices(MODES).default([...MODES]))
      .option("--seed <n>", "seed of the places", Number, 1)
      .option("--threads <n>", "threads for inference; 0 leaves one core", Number, 0),
  run: (options, installation) => run(options as unknown as Options, installation),
};

/** One file without the typed part, and that part as keystrokes; a line break brings the next line's indentation along. */
interface Trace {
  readonly path: string;
  readonly before: string;
  readonly after: string;
  readonly keystrokes: readonly string[];
}

interface Sample {
  readonly ttftMs: number;
  readonly promptTokens: number;
  readonly reusedTokens: number;
}

/** What one mode's requests gave. */
interface Measured {
  readonly kept: Sample[];
  readonly fresh: Sample[];
  /** Answered with the rest of the last offer, without the reader. */
  typedAlong: number;
}

async function run(options: Options, installation: Installation): Promise<Report> {
  const scratch = await mkdtemp(join(tmpdir(), "precis-bench-"));
  const { settings: defaults } = parseSettings({});
  const settings = { ...defaults, "execution.threads": options.threads };
  const start = (keeps: boolean) =>
    startEngine({ packsDir: installation.packsDir, settings, workers: installation.workers, keeps });
  const engines = [await start(true), await start(false)] as const;
  try {
    const root = resolve(options.source);
    const traces = await tracesOf(root, options);
    const [keeping, forgetting] = await Promise.all(
      engines.map((engine, n) => engine.openWorkspace({ root, storeDir: join(scratch, String(n)), settings })),
    );
    if (keeping === undefined || forgetting === undefined) throw new Error("no workspace");
    for (const workspace of [keeping, forgetting]) await workspace.index();
    const found = new Map<Mode, Measured>();
    for (const mode of options.modes) {
      const measured: Measured = { kept: [], fresh: [], typedAlong: 0 };
      for (const trace of traces) await typeIn(trace, mode, keeping, forgetting, measured);
      found.set(mode, measured);
    }
    for (const workspace of [keeping, forgetting]) workspace.close();
    return report("typing", [tableOf(found, traces, options)], [plotOf(found)]);
  } finally {
    for (const engine of engines) await engine.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

async function tracesOf(root: string, { files, lines, seed }: Options): Promise<Trace[]> {
  const random = randomOf(seed);
  const paths = await pythonFiles(root);
  const shuffled = paths.map((path) => ({ path, key: random() })).sort((a, b) => a.key - b.key);
  const traces: Trace[] = [];
  for (const { path } of shuffled) {
    const all = (await readFile(join(root, path), "utf8")).split("\n");
    const room = all.length - lines - 2 * SURROUNDING_LINES;
    if (room <= 0) continue;
    const from = SURROUNDING_LINES + Math.floor(random() * room);
    traces.push({
      path,
      before: all.slice(0, from).join("\n"),
      after: `\n${all.slice(from + lines).join("\n")}`,
      keystrokes: keystrokesOf(`\n${all.slice(from, from + lines).join("\n")}`),
    });
    if (traces.length === files) return traces;
  }
  if (traces.length === 0) throw new EngineError("USAGE", `no Python file under ${root} is long enough`);
  return traces;
}

function keystrokesOf(text: string): string[] {
  return text.match(/\n+[ \t]*|[^\n]/gu) ?? [];
}

async function typeIn(
  { path, before, after, keystrokes }: Trace,
  mode: Mode,
  keeping: Workspace,
  forgetting: Workspace,
  measured: Measured,
): Promise<void> {
  let text = before;
  for (const [n, key] of keystrokes.entries()) {
    text += key;
    const cursor = { path, text: text + after, offset: text.length };
    const kept = await ask(keeping, cursor, mode);
    if (kept === undefined) measured.typedAlong += 1;
    // The first keystroke in a file finds nothing kept.
    else if (n > 0) measured.kept.push(kept);
    if (n % FRESH_EVERY !== 0) continue;
    const fresh = await ask(forgetting, cursor, mode);
    if (fresh !== undefined) measured.fresh.push(fresh);
  }
}

async function ask(
  workspace: Workspace,
  cursor: { path: string; text: string; offset: number },
  mode: Mode,
): Promise<Sample | undefined> {
  const { promptTokens, timings, trace } = await workspace.complete(cursor, { mode, maxLines: 1, signals: TYPED });
  if (promptTokens === 0) return undefined;
  return { ttftMs: timings.ttftMs, promptTokens, reusedTokens: Number(trace.facts["reusedTokens"] ?? 0) };
}

function tableOf(found: ReadonlyMap<Mode, Measured>, traces: readonly Trace[], options: Options): Table {
  const keystrokes = traces.reduce((sum, trace) => sum + trace.keystrokes.length, 0);
  const sum = (samples: readonly Sample[], of: (sample: Sample) => number) =>
    samples.reduce((total, sample) => total + of(sample), 0);
  return {
    title: "typing",
    columns: [
      "mode",
      "requests",
      "typed along",
      "prompt tokens",
      "reused %",
      "TTFT p50 ms",
      "TTFT p95 ms",
      "nothing kept p50 ms",
      "nothing kept p95 ms",
      "ratio p50",
      "ratio p95",
    ],
    rows: [...found].map(([mode, { kept, fresh, typedAlong }]): Cell[] => {
      const times = (samples: readonly Sample[]) => samples.map((sample) => sample.ttftMs);
      const of = (share: number) => [quantile(times(kept), share), quantile(times(fresh), share)] as const;
      const [half, cold] = of(0.5);
      const [most, coldMost] = of(0.95);
      return [
        mode,
        kept.length,
        typedAlong,
        median(kept.map((sample) => sample.promptTokens)),
        (100 * sum(kept, (s) => s.reusedTokens)) / sum(kept, (s) => s.promptTokens),
        half,
        most,
        cold,
        coldMost,
        half / cold,
        most / coldMost,
      ];
    }),
    notes: [
      `${traces.length} files, ${options.lines} lines each, ${keystrokes} keystrokes, seed ${options.seed}; a request at every ` +
        `keystroke, every ${FRESH_EVERY}th also to an engine that keeps nothing`,
      `threads ${options.threads === 0 ? "all cores but one" : options.threads}; TTFT from the request to the first token, retrieval included`,
    ],
  };
}

function plotOf(found: ReadonlyMap<Mode, Measured>): object {
  const values = [...found].flatMap(([mode, { kept, fresh }]) => [
    ...kept.map(({ ttftMs }) => ({ mode, kind: "kept", ms: ttftMs })),
    ...fresh.map(({ ttftMs }) => ({ mode, kind: "nothing kept", ms: ttftMs })),
  ]);
  return {
    title: "Time to the first token while typing",
    width: 420,
    height: 240,
    data: { values },
    mark: { type: "boxplot", extent: "min-max" },
    encoding: {
      x: { field: "mode", type: "nominal", title: "mode", sort: [...MODES], axis: { labelAngle: 0 } },
      xOffset: { field: "kind" },
      y: { field: "ms", type: "quantitative", scale: { type: "log" }, title: "time to the first token, ms" },
      color: { field: "kind", type: "nominal", title: null },
    },
  };
}
