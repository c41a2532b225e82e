// `precis bench burst`: requests that supersede one another, also while the workspace is indexed. Does a superseded request
// stop at once, does indexing yield, does the protocol's thread stay free?
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout } from "node:timers/promises";
import { type Command, Option } from "commander";
import { parseSettings } from "../engine/config.ts";
import { MODES, type Mode } from "../engine/domain.ts";
import { startEngine, type Workspace } from "../engine/engine.ts";
import { EngineError } from "../engine/errors.ts";
import type { Installation } from "../engine/installation.ts";
import type { Bench } from "./bench.ts";
import { quantile } from "./median.ts";
import { drawPositions, type Position } from "./positions.ts";
import { pythonFiles } from "./pythonFiles.ts";
import { report } from "./report.ts";

interface Options {
  readonly source: string;
  readonly requests: number;
  readonly every: number;
  readonly mode: Mode;
  readonly seed: number;
}

/** Requests that are left to end. */
const UNDISTURBED = 40;

export const burst: Bench = {
  name: "burst",
  description: "requests superseding one another while indexing: time to stop, event-loop delay",
  addOptions: (command: Command) =>
    command
      .requiredOption("--source <dir>", "a folder of Python files")
      .option("--requests <n>", "requests that supersede one another", Number, 200)
      .option("--every <ms>", "milliseconds between them", Number, 40)
      .addOption(new Option("--mode <mode>", "mode asked").choices(MODES).default("full"))
      .option("--seed <n>", "seed of the places", Number, 1),
  run: (options, installation) => run(options as unknown as Options, installation),
};

async function run(options: Options, installation: Installation) {
  const { requests, every, mode, seed } = options;
  const scratch = await mkdtemp(join(tmpdir(), "precis-bench-"));
  const { settings } = parseSettings({});
  const engine = await startEngine({ packsDir: installation.packsDir, settings, workers: installation.workers });
  try {
    const root = resolve(options.source);
    const workspace = await engine.openWorkspace({ root, storeDir: scratch, settings });
    await workspace.index();
    const positions = await drawPositions(root, await pythonFiles(root), 2 * (requests + UNDISTURBED), seed);
    if (positions.length < 2 * (requests + UNDISTURBED))
      throw new EngineError("USAGE", `${root} holds too little Python code for ${requests} requests: ask for fewer`);
    // No place is asked for twice: the engine would remember.
    const half = Math.floor(positions.length / 2);
    const quiet = await both(workspace, positions.slice(0, half), options);
    const indexing = whileIndexing(workspace);
    const busy = await both(workspace, positions.slice(half), options);
    const passes = await indexing.stop();
    workspace.close();
    const lines = [
      { meanwhile: "nothing", ...quiet },
      { meanwhile: `indexing, ${passes} passes`, ...busy },
    ];
    return report("burst", [
      {
        title: "requests that supersede one another",
        columns: ["meanwhile", "requests", "stopped", "to stop p50 ms", "p95 ms", "max ms"],
        rows: lines.map(({ meanwhile, stopped }) => [
          meanwhile,
          requests,
          stopped.length,
          ...[0.5, 0.95, 1].map((share) => quantile(stopped, share)),
        ]),
        notes: [
          `a request every ${every} ms, each aborting the one before; mode ${mode}; seed ${seed}; threads of the default setting`,
          "stopped: requests that were still running when aborted; time from the abort to their answer",
        ],
      },
      {
        title: "requests one after another",
        columns: ["meanwhile", "requests", "to answer p50 ms", "p95 ms", "max ms", "p50 ratio"],
        rows: lines.map(({ meanwhile, answered }) => [
          meanwhile,
          answered.length,
          ...[0.5, 0.95, 1].map((share) => quantile(answered, share)),
          quantile(answered, 0.5) / quantile(quiet.answered, 0.5),
        ]),
        notes: ["indexing yields: a request waits for the run that is under way and for no other"],
      },
      {
        title: "the protocol's thread",
        columns: ["meanwhile", "event-loop delay p99 ms", "longest ms"],
        rows: lines.map(({ meanwhile, delayMs }) => [meanwhile, delayMs.p99, delayMs.longest]),
        notes: ["over both kinds of requests"],
      },
    ]);
  } finally {
    await engine.close();
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Indexes everything anew until told to stop. */
function whileIndexing(workspace: Workspace): { stop: () => Promise<number> } {
  let isStopped = false;
  let passes = 0;
  const working = (async () => {
    while (!isStopped) {
      await workspace.index({ force: true });
      passes += 1;
    }
  })();
  return {
    stop: async () => {
      isStopped = true;
      await working;
      return passes;
    },
  };
}

interface Measured {
  /** Milliseconds from an abort to the answer. */
  readonly stopped: readonly number[];
  /** Milliseconds from a request that nothing disturbs to its answer. */
  readonly answered: readonly number[];
  readonly delayMs: { readonly p99: number; readonly longest: number };
}

async function both(workspace: Workspace, positions: readonly Position[], options: Options): Promise<Measured> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const stopped = await superseding(workspace, positions.slice(UNDISTURBED), options);
  const answered = await oneAfterAnother(workspace, positions.slice(0, UNDISTURBED), options);
  delay.disable();
  return { stopped, answered, delayMs: { p99: delay.percentile(99) / 1e6, longest: delay.max / 1e6 } };
}

async function superseding(
  workspace: Workspace,
  positions: readonly Position[],
  { every, mode }: Pick<Options, "every" | "mode">,
): Promise<number[]> {
  const stopped: number[] = [];
  const answers: Promise<void>[] = [];
  let previous: { readonly aborter: AbortController; abortedAt?: number; isDone: boolean } | undefined;
  for (const position of positions) {
    if (previous?.isDone === false) {
      previous.abortedAt = performance.now();
      previous.aborter.abort();
    }
    const request: NonNullable<typeof previous> = { aborter: new AbortController(), isDone: false };
    answers.push(
      workspace.complete(position, { mode, maxLines: 1 }, request.aborter.signal).then(() => {
        request.isDone = true;
        if (request.abortedAt !== undefined) stopped.push(performance.now() - request.abortedAt);
      }),
    );
    previous = request;
    await setTimeout(every);
  }
  await Promise.all(answers);
  return stopped;
}

async function oneAfterAnother(
  workspace: Workspace,
  positions: readonly Position[],
  { mode }: Pick<Options, "mode">,
): Promise<number[]> {
  const answered: number[] = [];
  for (const position of positions) {
    const started = performance.now();
    await workspace.complete(position, { mode, maxLines: 1 });
    answered.push(performance.now() - started);
  }
  return answered;
}
