// `precis bench memory`: does the engine's memory stay where it is over many completions, and go back to the system when
// the models are unloaded? The pack's models behind their worker, in a process of its own, started as the extension starts
// the engine.
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Command, Option } from "commander";
import { EngineError } from "../engine/errors.ts";
import type { Installation } from "../engine/installation.ts";
import { findPack, openPack } from "../engine/pack/pack.ts";
import type { Bench } from "./bench.ts";
import type { MemoryRequest, MemoryRow } from "./memoryProcess.ts";
import { type Report, report, type Table } from "./report.ts";

interface Options {
  readonly completions: number;
  readonly threads: number;
  readonly cancelEvery: number;
}

/** Completions before the first look, which later ones are compared with. */
const SETTLED = 100;

/** As `extension/client.ts` gives them, and why stands there. */
const ENVIRONMENT = { MALLOC_MMAP_THRESHOLD_: "131072", MALLOC_TRIM_THRESHOLD_: "131072", MALLOC_ARENA_MAX: "1" };
const NODE_FLAGS = ["--max-semi-space-size=2"];

export const memory: Bench = {
  name: "memory",
  description: "resident memory over many completions, some of them cancelled, and after the models are unloaded",
  addOptions: (command: Command) =>
    command
      .addOption(new Option("--completions <n>", "completions").argParser(Number).default(1000))
      .addOption(new Option("--threads <n>", "threads").argParser(Number).default(1))
      .addOption(new Option("--cancel-every <n>", "every which one is cancelled").argParser(Number).default(10)),
  run: (options, installation) => run(options as unknown as Options, installation),
};

async function run({ completions, threads, cancelEvery }: Options, installation: Installation): Promise<Report> {
  const { dir, manifest } = await openPack(await findPack("auto", installation.packsDir));
  const workerUrl = installation.workers.inference.href;
  const rows = await rowsOfProcess({ packDir: dir, workerUrl, settled: SETTLED, completions, threads, cancelEvery });
  const at = (what: string) => rows.find(([name]) => name === what)?.[1] ?? Number.NaN;
  const before = at("nothing open");
  const [settled, last, unloaded] = [
    at(`${SETTLED} completions`),
    at(`${completions} completions`),
    at("models unloaded"),
  ];
  const { budget } = manifest.prompt;
  const table: Table = {
    title: `${manifest.id}: resident memory`,
    columns: ["after", "MiB", "private MiB", "from files MiB", "beyond the empty process MiB"],
    rows: rows.map((row) => [...row, row[1] - before]),
    notes: [
      `after ${completions} completions ${(last / settled).toFixed(3)} of what it was after ${SETTLED}`,
      `unloading gives back ${(last - unloaded).toFixed(0)} MiB of the ${(last - before).toFixed(0)} that were taken`,
      `random prompts of 16 to ${budget.left + budget.right + budget.context} tokens, 8 new tokens, one in ${cancelEvery} cancelled after 5 ms; ${threads} threads`,
    ],
  };
  return report("memory", [table]);
}

function rowsOfProcess(request: MemoryRequest): Promise<readonly MemoryRow[]> {
  const isSource = import.meta.url.endsWith(".ts");
  const entry = fileURLToPath(new URL(isSource ? "./memoryProcess.ts" : "../bench/memoryProcess.ts", import.meta.url));
  return new Promise((resolve, reject) => {
    const env = { ...process.env, ...ENVIRONMENT };
    const child = fork(entry, [JSON.stringify(request)], { env, execArgv: NODE_FLAGS });
    child.on("message", (rows: readonly MemoryRow[]) => resolve(rows));
    child.on("exit", (code) => reject(new EngineError("WORKER_FAILED", `the measured process ended with ${code}`)));
  });
}
