// `precis bench …`: every benchmark as a subcommand. Each prints ratios from one run, since machines differ and are shared.
import type { Command } from "commander";
import type { Installation } from "../engine/installation.ts";
import { burst } from "./burst.ts";
import { draftsBench } from "./drafts.ts";
import { gateBench } from "./gate.ts";
import { indexBench } from "./index.ts";
import { kv } from "./kv.ts";
import { latency } from "./latency.ts";
import { memory } from "./memory.ts";
import { drawPlots } from "./plot.ts";
import { replayBench } from "./replay.ts";
import { type Report, textOf } from "./report.ts";
import { retrievalBench } from "./retrieval.ts";
import { selective } from "./selective.ts";
import { startup } from "./startup.ts";
import { typing } from "./typing.ts";

/** A benchmark: its own options on its own subcommand, and a run that answers with tables and plots. */
export interface Bench {
  readonly name: string;
  readonly description: string;
  readonly addOptions: (command: Command) => Command;
  /** `options.args` are the subcommand's arguments. */
  readonly run: (options: Readonly<Record<string, unknown>>, installation: Installation) => Promise<Report>;
}

const BENCHES: readonly Bench[] = [
  burst,
  draftsBench,
  gateBench,
  indexBench,
  kv,
  latency,
  memory,
  replayBench,
  retrievalBench,
  selective,
  startup,
  typing,
];

export function addBenches(parent: Command, installation: Installation): void {
  for (const bench of BENCHES) {
    bench
      .addOptions(parent.command(bench.name).description(bench.description))
      .option("--json", "print JSON on stdout")
      .option("--plot <file>", "draw the plots into an SVG file")
      .action(async (...given: unknown[]) => {
        const command = given.at(-1) as Command;
        const options: { json?: boolean; plot?: string } = command.opts();
        const result = await bench.run({ ...options, args: command.args }, installation);
        if (options.plot !== undefined) await drawPlots(result.plots, options.plot);
        process.stdout.write(`${options.json ? JSON.stringify(result) : textOf(result)}\n`);
      });
  }
}
