#!/usr/bin/env node
// The engine without an editor. JSON on stdout is a contract; words go to stderr. Exit: 0 done, 1 failed, 2 wrong usage.
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import type { AddOptions } from "./cliAdd.ts";
import { completeCommand, evalCommand, indexCommand } from "./cliCommands.ts";
import {
  chunksCommand,
  doctorCommand,
  lspCommand,
  packsListCommand,
  packsPrepareCommand,
  packsRemoveCommand,
  packsVerifyCommand,
} from "./cliTools.ts";
import { MODES, type Mode } from "./domain.ts";
import { isEngineError, messageOf } from "./errors.ts";
import { type Installation, installationOf, withNotedPacks } from "./installation.ts";
import { READER_FORMATS } from "./pack/readerFormat.ts";
import { relaunchIfTooOld } from "./relaunch.ts";

/** Beside the engine, so that the drawing library is read only by who measures. */
const BENCH = "./bench.js";

function wholeNumber(value: string): number {
  const parsed = Number(value);
  if (!Number.isInteger(parsed) || parsed < 0) throw new InvalidArgumentError("not a whole number");
  return parsed;
}

function nameList(value: string): string[] {
  return value.split(",").map((name) => name.trim());
}

function modeList(value: string): Mode[] {
  return value.split(",").map((name) => {
    const mode = MODES.find((known) => known === name.trim());
    if (mode === undefined) throw new InvalidArgumentError(`modes are ${MODES.join(", ")}`);
    return mode;
  });
}

function buildProgram(installation: Installation): Command {
  const program = new Command("precis")
    .description("Repository-aware code completion on your own machine.")
    .exitOverride()
    .showHelpAfterError();
  const json = () => new Option("--json", "print JSON on stdout");
  const store = () => new Option("--store <dir>", "folder for the stores; your cache folder when absent");
  const pack = () => new Option("--pack <pack>", "bundled pack's name or a pack folder").default("auto");

  const endpoint = () =>
    new Option("--endpoint <url>", "OpenAI-compatible server that reads and writes; its key in PRECIS_READER_KEY");
  const model = () => new Option("--model <name>", "the server's model; the first it lists when absent");

  program
    .command("index <dir>")
    .description("build or refresh the index of a folder")
    .option("--force", "start from nothing")
    .option("--watch", "then follow what changes on the disk, until Ctrl-C")
    .option("--max-disk <MiB>", "MiB the index may take, in place of the setting's default", wholeNumber)
    .option("--skipped", "list what was left out and why, the first hundred of each reason")
    .addOption(store())
    .addOption(pack())
    .addOption(json())
    .action((dir, options) => indexCommand(installation, dir, options));
  program
    .command("complete <file:line:column>")
    .description("one completion; lines and columns count from 1, columns in UTF-16 code units")
    .option("--workspace <dir>", "workspace folder; the enclosing git root when absent")
    .addOption(new Option("--mode <mode>", "what the reader sees").choices(MODES).default("full"))
    .option("--max-lines <n>", "most lines", wholeNumber, 1)
    .option("--suggestions <n>", "how many different offers, as a manual trigger brings them", wholeNumber, 1)
    .option("--explain", "print the readable account of the request")
    .addOption(store())
    .addOption(pack())
    .addOption(endpoint())
    .addOption(model())
    .addOption(json())
    .action((position, options) => completeCommand(installation, position, options));
  program
    .command("eval <tasks>")
    .description("RepoEval line completion: EM and ES per mode")
    .requiredOption("--repos <dir>", "folder that holds the repositories")
    .option("--modes <list>", "modes, separated by commas", modeList, [...MODES])
    .option("--limit <n>", "at most this many tasks", wholeNumber)
    .option("--seed <n>", "seed of the draw for --limit", wholeNumber, 0)
    .option("--retrievers <list>", "retrievers, separated by commas, in place of the setting's default", nameList)
    .option("--origin <prefix>", "only tasks whose origin starts so, such as made or published")
    .option("--check-parse", "count how often what is offered leaves a document parseable that was so")
    .option("--no-copying", "let the reader write alone, to measure what copied tokens give")
    .option("--out <file>", "one JSON row a task and mode")
    .addOption(store())
    .addOption(pack())
    .addOption(endpoint())
    .addOption(model())
    .addOption(json())
    .action((tasks, options) => evalCommand(installation, tasks, options));
  program
    .command("chunks <dir>")
    .description("the chunks of a folder as JSON lines, as training reads them")
    .addOption(pack())
    .option("--tokenizer <file>", "a tokenizer.json in place of a pack's, before there is a pack")
    .option("--max-tokens <n>", "longest chunk, in place of the pack's", wholeNumber)
    .action((dir, options) => chunksCommand(installation, dir, options));
  program
    .command("doctor")
    .description("check this installation")
    .addOption(pack())
    .addOption(endpoint())
    .addOption(model())
    .addOption(json())
    .action((options) => doctorCommand(installation, options));
  const packs = program.command("packs").description("model packs");
  packs
    .command("list")
    .description("bundled packs, those on this machine, an editor's too, and add-ons")
    .addOption(json())
    .action((options) => packsListCommand(installation, options));
  packs
    .command("prepare <src>")
    .description(
      "make a pack of a Qwen2 checkpoint folder (safetensors) or of a stock ONNX export (folder or .onnx file)",
    )
    .option("--out <dir>", "the pack's folder; among your prepared packs when absent")
    .option("--id <id>", "the pack's name; the folder's when absent")
    .addOption(
      new Option("--format <format>", "the reader's weights; of an export, which graph")
        .choices(READER_FORMATS)
        .default("q4"),
    )
    .option("--max-tokens <n>", "longest prompt and completion", wholeNumber, 2048)
    .option("--with <pack>", "the pack that gives encoder and fuser", "auto")
    .addOption(json())
    .action((source, options) => packsPrepareCommand(installation, source, options));
  packs
    .command("add <src>")
    .description("get a model: owner/name on the hub, a checkpoint or pack folder copied here, or a projector add-on")
    .option("--hub <url>", "address of the hub or a mirror; HF_ENDPOINT, or the public hub, when absent", "")
    .addOption(new Option("--format <format>", "weights; q4 for a reader, q8 for an encoder").choices(READER_FORMATS))
    .option("--max-tokens <n>", "longest prompt and completion of a reader", wholeNumber, 2048)
    .option("--into <dir>", "the folder that gets it; that of your packs when absent")
    .option("--encoder <src>", "checkpoint folder or ONNX export of an add-on's encoder, where it does not hold it")
    .addOption(json())
    .action(async (source: string, options: AddOptions) => {
      // What speaks to a hub is loaded by who asks one.
      const { packsAddCommand } = await import("./cliAdd.ts");
      return packsAddCommand(installation, source, options);
    });
  packs
    .command("remove <name>")
    .description("remove a pack or an add-on from this machine; never one that comes with Precis")
    .addOption(json())
    .action((name, options) => packsRemoveCommand(installation, name, options));
  packs
    .command("verify [pack]")
    .description("manifest, every sha256, parity samples")
    .addOption(json())
    .action((name, options) => packsVerifyCommand(installation, name ?? "auto", options));
  program
    .command("lsp")
    .description("language server for any editor")
    .option("--stdio", "speak over standard input and output (the only way)")
    .action(() => lspCommand(installation));
  return program;
}

async function addBenches(program: Command, installation: Installation): Promise<void> {
  const bench = program.command("bench").description("measure this machine: tables, plots, ratios from one run");
  if (process.argv[2] !== "bench") return;
  const module: { addBenches: (parent: Command, of: Installation) => void } = await import(BENCH);
  module.addBenches(bench, installation);
}

/** Exit status of the process. */
async function run(argv: readonly string[]): Promise<number> {
  try {
    const installation = await withNotedPacks(installationOf(import.meta.url));
    const program = buildProgram(installation);
    await addBenches(program, installation);
    await program.parseAsync(argv);
    return Number(process.exitCode ?? 0);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (isEngineError(error)) {
      process.stderr.write(`${error.message}\n${error.action}\n`);
      return error.code === "USAGE" ? 2 : 1;
    }
    process.stderr.write(`unexpected: ${error instanceof Error ? error.stack : messageOf(error)}\n`);
    return 1;
  }
}

// `precis … | head` closes the pipe early; that is the reader's choice and no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});
if (!relaunchIfTooOld(import.meta.url)) process.exitCode = await run(process.argv);
