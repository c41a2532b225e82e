// `precis bench startup`: how long a reader takes from nothing to its first token and what memory it holds, under the options
// of the runtime that could change it. Every sample is a process of its own.
import { fork } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Command, Option } from "commander";
import envPaths from "env-paths";
import { EngineError } from "../engine/errors.ts";
import type { SessionTuning } from "../engine/infer/provider.ts";
import type { ReaderFiles } from "../engine/infer/reader.ts";
import type { Installation } from "../engine/installation.ts";
import { MATRIX_FORMATS, type MatrixFormat } from "../engine/pack/matrices.ts";
import { findPack, openPack } from "../engine/pack/pack.ts";
import type { Bench } from "./bench.ts";
import { median } from "./median.ts";
import { type Report, report } from "./report.ts";
import { randomReader, SHAPE_NAMES, type ShapeName } from "./shapes.ts";
import type { StartupRequest, StartupSample } from "./startupProcess.ts";

interface Options {
  readonly shape?: ShapeName;
  readonly format: readonly MatrixFormat[];
  readonly threads: number;
  readonly repeats: number;
  readonly tokens: number;
}

interface Variant {
  readonly name: string;
  readonly tuning: SessionTuning;
  /** A file beside the reader's, made from it; the reader's own when absent. */
  readonly file?: string;
}

const VARIANTS: readonly Variant[] = [
  { name: "as shipped", tuning: {} },
  { name: "graph as it is", tuning: { graphOptimizationLevel: "disabled" } },
  { name: "no arena", tuning: { enableCpuMemArena: false } },
  { name: "no prepacking", tuning: { configuration: { disable_prepacking: "1" } } },
  { name: "packed weights kept in a file", tuning: { graphOptimizationLevel: "disabled" }, file: "packed.onnx" },
];

export const startup: Bench = {
  name: "startup",
  description: "from nothing to the first token, and the memory held, under the runtime's options",
  addOptions: (command: Command) =>
    command
      .addOption(new Option("--shape <name>", "random weights of this size instead of the pack").choices(SHAPE_NAMES))
      .addOption(
        new Option("--format <formats...>", "matrix formats of --shape").choices(MATRIX_FORMATS).default(["q4"]),
      )
      .addOption(new Option("--threads <n>", "threads").argParser(Number).default(availableParallelism()))
      .addOption(new Option("--repeats <n>", "processes for each row").argParser(Number).default(3))
      .addOption(new Option("--tokens <n>", "length of the prompt").argParser(Number).default(256)),
  run: (options, installation) => run(options as unknown as Options, installation),
};

async function run(options: Options, installation: Installation): Promise<Report> {
  const { threads, repeats, tokens } = options;
  const targets = await targetsOf(options, installation);
  const lanes = [];
  for (const { name, files } of targets) {
    for (const variant of VARIANTS) {
      const own = variant.file === undefined ? files : await packed(files, threads, tokens, variant.file);
      lanes.push({ target: name, variant, files: own, samples: [] as StartupSample[] });
    }
  }
  for (let repeat = 0; repeat < repeats; repeat += 1) {
    for (const { files, variant, samples } of lanes)
      samples.push(await sampleOf({ files, threads, tuning: variant.tuning, tokens }));
  }
  const rows = lanes.map(({ target, variant, samples }) => {
    const middle = (field: (sample: StartupSample) => number) => median(samples.map(field));
    return [
      target,
      variant.name,
      middle(({ loadMs }) => loadMs),
      middle(({ firstMs }) => firstMs),
      middle(({ secondMs }) => secondMs),
      middle(({ loaded, empty }) => loaded.total - empty.total),
      middle(({ loaded, empty }) => (loaded.anonymous ?? Number.NaN) - (empty.anonymous ?? Number.NaN)),
      middle(({ used, empty }) => used.total - empty.total),
      middle(({ used }) => used.peak ?? Number.NaN),
    ];
  });
  const importMs = median(lanes.flatMap(({ samples }) => samples.map((sample) => sample.importMs)));
  const table = {
    title: "a reader from nothing",
    columns: [
      "reader",
      "options",
      "load ms",
      `first token ms (${tokens} tokens)`,
      "again ms",
      "loaded MiB",
      "of it private MiB",
      "after use MiB",
      "whole process, peak MiB",
    ],
    rows,
    notes: [
      `medians of ${repeats} processes; ${threads} threads; files in the page cache`,
      `MiB beyond the empty process; Node and the runtime's library take ${importMs.toFixed(0)} ms before`,
    ],
  };
  return report("startup", [table]);
}

async function targetsOf(
  { shape, format }: Options,
  installation: Installation,
): Promise<{ name: string; files: ReaderFiles }[]> {
  if (shape !== undefined) {
    const targets = [];
    for (const each of format) targets.push({ name: `${shape} ${each}`, files: await randomReader(shape, each) });
    return targets;
  }
  const { dir, manifest } = await openPack(await findPack("auto", installation.packsDir));
  return [{ name: manifest.id, files: { dir, manifest: { embed: manifest.embed, reader: manifest.reader } } }];
}

/** The reader with its weights as the kernels want them, written by a session of its own. Holds for this processor alone. */
async function packed(files: ReaderFiles, threads: number, tokens: number, file: string): Promise<ReaderFiles> {
  const dir = join(envPaths("precis", { suffix: "" }).cache, "bench", `packed-${basename(files.dir)}`);
  await mkdir(dir, { recursive: true });
  const tuning: SessionTuning = {
    optimizedModelFilePath: join(dir, file),
    configuration: {
      optimized_model_external_initializers_file_name: `${file}.data`,
      optimized_model_external_initializers_min_size_in_bytes: "1024",
      save_external_prepacked_constant_initializers: "1",
    },
  };
  // The embedding's session would write to the same file; the reader's is the later one.
  await sampleOf({ files, threads, tuning, tokens });
  const { embed, reader } = files.manifest;
  return {
    dir: "/",
    manifest: { embed: { ...embed, file: join(files.dir, embed.file) }, reader: { ...reader, file: join(dir, file) } },
  };
}

function sampleOf(request: StartupRequest): Promise<StartupSample> {
  const isSource = import.meta.url.endsWith(".ts");
  const entry = fileURLToPath(
    new URL(isSource ? "./startupProcess.ts" : "../bench/startupProcess.ts", import.meta.url),
  );
  return new Promise((resolve, reject) => {
    const child = fork(entry, [JSON.stringify(request)], { execArgv: [], stdio: ["ignore", "ignore", "pipe", "ipc"] });
    let log = "";
    child.stderr?.on("data", (text: Buffer) => {
      log = (log + text.toString()).slice(-2000);
    });
    child.on("message", (sample: StartupSample) => resolve(sample));
    child.on("exit", (code) =>
      reject(new EngineError("WORKER_FAILED", `the measured process ended with ${code}: ${log}`)),
    );
  });
}
