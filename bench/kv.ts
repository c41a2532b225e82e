// `precis bench kv`: one reader, its keys and values kept in every way there is. What does each cost a prefill and a token?
import { fork } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Command, Option } from "commander";
import { EngineError } from "../engine/errors.ts";
import { deviceGraph } from "../engine/infer/deviceGraph.ts";
import { MATRIX_FORMATS, type MatrixFormat } from "../engine/pack/matrices.ts";
import type { Bench } from "./bench.ts";
import type { KvReply, KvStart, KvTimes } from "./peers/kvMessages.ts";
import { type Report, report } from "./report.ts";
import { randomReader, SHAPE_NAMES, SHAPES, type ShapeName } from "./shapes.ts";

interface Options {
  readonly shape: ShapeName;
  readonly format: MatrixFormat;
  readonly positions: number;
  readonly repeats: number;
  readonly threads: number;
}

export const kv: Bench = {
  name: "kv",
  description: "ways to keep keys and values: time of a prefill and of a token; needs bench/peers installed",
  addOptions: (command: Command) =>
    command
      .addOption(new Option("--shape <name>", "random weights of this size").choices(SHAPE_NAMES).default("60m"))
      .addOption(new Option("--format <format>", "matrix format").choices(MATRIX_FORMATS).default("int8"))
      .option("--positions <n>", "positions read before the tokens", Number, 1010)
      .option("--repeats <n>", "rounds in which the ways take turns", Number, 5)
      .option("--threads <n>", "threads", Number, 1),
  run: (options) => run(options as unknown as Options),
};

async function run({ shape: name, format, positions, repeats, threads }: Options): Promise<Report> {
  const shape = SHAPES[name];
  const plain = await randomReader(name, format);
  const int8 = await randomReader(name, format, "int8");
  const rows = join(plain.dir, plain.manifest.reader.file);
  // Beside the other graph, whose large constants it shares.
  const whole = join(plain.dir, "whole.onnx");
  await writeFile(whole, (await deviceGraph(rows, shape)).bytes);
  const graphs = { rows, int8: join(int8.dir, int8.manifest.reader.file), whole };
  const times = await timesOf({ threads, repeats, positions, shape, graphs });
  const [ours] = times;
  const ratio = (of: (one: KvTimes) => number, one: KvTimes) => of(one) / (ours === undefined ? Number.NaN : of(ours));
  return report("kv", [
    {
      title: `${name} ${format}: keys and values`,
      columns: [
        "way",
        `prefill ${positions} CPU ms`,
        "ratio",
        "token CPU ms",
        "ratio",
        "draft of 3 CPU ms",
        "ratio",
        "logits differ by",
      ],
      rows: times.map((one) => [
        one.name,
        one.prefill,
        ratio((each) => each.prefill, one),
        one.token,
        ratio((each) => each.token, one),
        one.draft,
        ratio((each) => each.draft, one),
        one.difference,
      ]),
      notes: [
        `medians of ${repeats} interleaved rounds after one warm-up; CPU time, which other work disturbs least; threads ${threads}; ` +
          "ratios to the engine's own way, the first",
        "random weights, seed 1; a token reads two positions and a draft of three reads four, as in the engine",
        "logits differ: the largest difference behind the last step, as a share of the largest logit",
      ],
    },
  ]);
}

function timesOf(start: KvStart): Promise<readonly KvTimes[]> {
  const isSource = import.meta.url.endsWith(".ts");
  const entry = fileURLToPath(
    new URL(isSource ? "peers/kvProcess.ts" : "../bench/peers/kvProcess.ts", import.meta.url),
  );
  const child = fork(entry, [JSON.stringify(start)], { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  return new Promise((resolve, reject) => {
    child.once("message", ({ times, error }: KvReply) => {
      if (times === undefined) reject(new EngineError("WORKER_FAILED", `${error}; is bench/peers installed?`));
      else resolve(times);
    });
    child.once("exit", (code, signal) => {
      reject(new EngineError("WORKER_FAILED", `the measuring process ended with ${signal ?? code}`));
    });
  });
}
