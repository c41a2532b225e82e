// index, complete, eval: the commands that open a workspace.
import { createWriteStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { finished } from "node:stream/promises";
import envPaths from "env-paths";
import { parseSettings, type Settings } from "./config.ts";
import type { Mode } from "./domain.ts";
import { type Engine, startEngine, type Workspace } from "./engine.ts";
import { EngineError, errnoOf, messageOf, type Problem } from "./errors.ts";
import { drawTasks, type EvalReport, evaluate, readTasks } from "./evaluate.ts";
import { explain } from "./explain.ts";
import type { IndexProgress, IndexReport } from "./indexing/indexer.ts";
import { type Installation, storeDirOf } from "./installation.ts";
import { createParseCheck } from "./parseCheck.ts";
import { progressText } from "./progressText.ts";
import { watch } from "./watch.ts";

const PROGRESS_PAUSE_MS = 100;

/** What reads: a pack, and the server that runs its reader, if one does. */
export interface ReaderChoice {
  readonly pack: string;
  readonly endpoint?: string;
  readonly model?: string;
}

interface StoreAndPack extends ReaderChoice {
  readonly store?: string;
  readonly json?: boolean;
}

/** `DIR/index.db`'s folder for a workspace: under --store or the user's cache, never in the workspace. */
export function storeParent(given: string | undefined): string {
  return given === undefined ? envPaths("precis", { suffix: "" }).cache : resolve(given);
}

export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function settingsOf({ pack, endpoint, model }: ReaderChoice): Settings {
  const reader = { "reader.endpoint": endpoint ?? "", "reader.model": model ?? "" };
  return { ...parseSettings({}).settings, ...reader, pack };
}

/** A key has no place on a command line, which every process can read. It is for the server named beside it. */
export function keyFromEnvironment(): string | undefined {
  return process.env["PRECIS_READER_KEY"];
}

/** Opens the engine, runs `work`, closes it whatever happens. */
export async function withEngine<T>(
  installation: Installation,
  choice: ReaderChoice,
  work: (engine: Engine, settings: Settings) => Promise<T>,
): Promise<T> {
  const settings = settingsOf(choice);
  const { packsDir, preparedDirs, workers } = installation;
  const cacheDir = storeParent(undefined);
  const readerKey = keyFromEnvironment;
  const engine = await startEngine({ packsDir, preparedDirs, settings, workers, cacheDir, readerKey });
  sayProblems(engine.problems);
  try {
    return await work(engine, settings);
  } finally {
    await engine.close();
  }
}

function sayProblems(problems: readonly Problem[]): void {
  for (const { code, path, detail } of problems) say(`${code}: ${path === undefined ? "" : `${path}: `}${detail}`);
}

async function openFolder(
  engine: Engine,
  settings: Settings,
  dir: string,
  store: string | undefined,
): Promise<Workspace> {
  const root = resolve(dir);
  const isFolder = await stat(root).then(
    (found) => found.isDirectory(),
    (error: unknown) => {
      throw new EngineError("WORKSPACE_MISSING", `${root}: ${messageOf(error)}`, { cause: error });
    },
  );
  if (!isFolder) throw new EngineError("WORKSPACE_MISSING", `${root} is not a folder`);
  const workspace = await engine.openWorkspace({ root, storeDir: storeDirOf(storeParent(store), root), settings });
  sayProblems(workspace.problems);
  return workspace;
}

export async function indexCommand(
  installation: Installation,
  dir: string,
  options: StoreAndPack & { force?: boolean; skipped?: boolean; watch?: boolean; maxDisk?: number },
): Promise<void> {
  await withEngine(installation, options, async (engine, defaults) => {
    const settings = { ...defaults, "index.maxDiskMiB": options.maxDisk ?? defaults["index.maxDiskMiB"] };
    const workspace = await openFolder(engine, settings, dir, options.store);
    try {
      printReport(await workspace.index({ force: options.force ?? false, onProgress: progressLine() }), options);
      if (options.watch) await follow(workspace, settings, options.json === true);
    } finally {
      workspace.close();
    }
  });
}

function printReport(
  { problems, skippedFiles, ...report }: IndexReport,
  options: { json?: boolean; skipped?: boolean },
): void {
  sayProblems(problems.filter(({ code }) => code !== "PARSE_FALLBACK"));
  if (options.json) {
    print(JSON.stringify(options.skipped ? { ...report, skippedFiles } : report));
    return;
  }
  print(`${report.files} files, ${report.chunks} chunks, ${report.nodes} nodes in ${report.seconds.toFixed(1)} s`);
  print(
    `embedded ${report.embedded}, reused ${report.reused}, fused ${report.fused}; ${(report.dbBytes / 1e6).toFixed(1)} MB`,
  );
  for (const [reason, n] of Object.entries(report.skipped)) print(`skipped ${n}: ${reason}`);
  if (!options.skipped) return;
  for (const { reason, path, detail } of skippedFiles)
    print(`${reason}\t${path || "."}${detail === undefined ? "" : `\t${detail}`}`);
}

/** Until Ctrl-C, which is how a person ends it and no failure. */
async function follow(workspace: Workspace, settings: Settings, isJson: boolean): Promise<void> {
  const aborter = new AbortController();
  const end = () => aborter.abort();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, end);
  await watch(workspace, {
    exclude: settings["index.exclude"],
    signal: aborter.signal,
    onReady: () => say(`watching ${workspace.root}; Ctrl-C ends it`),
    onReport: (report) => {
      const { changed, embedded, reused, fused, seconds } = report;
      if (isJson) print(JSON.stringify(report));
      else
        print(`${changed} changed: embedded ${embedded}, reused ${reused}, fused ${fused} in ${seconds.toFixed(2)} s`);
    },
  });
}

/** On a terminal one line that is rewritten; nothing where the output is kept. */
function progressLine(): (progress: IndexProgress) => void {
  if (!process.stderr.isTTY) return () => {};
  let shownAt = 0;
  return (progress) => {
    const isDone = progress.filesDone === progress.filesTotal;
    if (!isDone && performance.now() - shownAt < PROGRESS_PAUSE_MS) return;
    shownAt = performance.now();
    process.stderr.write(`\r\x1b[K${progressText(progress)}${isDone ? "\n" : ""}`);
  };
}

interface CompleteOptions extends StoreAndPack {
  readonly workspace?: string;
  readonly mode: Mode;
  readonly maxLines: number;
  readonly suggestions: number;
  readonly explain?: boolean;
}

export async function completeCommand(
  installation: Installation,
  position: string,
  options: CompleteOptions,
): Promise<void> {
  const { file, line, column } = parsePosition(position);
  const text = await readText(file);
  const offset = offsetOf(text, line, column, position);
  const root = options.workspace === undefined ? await gitRootOf(file) : resolve(options.workspace);
  await withEngine(installation, options, async (engine, settings) => {
    const workspace = await openFolder(engine, settings, root, options.store);
    try {
      if (options.mode !== "none") await workspace.index();
      const path = relative(root, file).split(sep).join("/");
      const completion = await workspace.complete(
        { path, text, offset },
        { mode: options.mode, maxLines: options.maxLines, suggestions: options.suggestions },
      );
      if (options.explain) return print(explain({ root, path, line, column, completion }));
      const {
        trace: _trace,
        prompt: _prompt,
        problems,
        replaceRight: _replaceRight,
        reused: _reused,
        candidates,
        others,
        ...facts
      } = completion;
      sayProblems(problems);
      const offers = [completion, ...(others ?? [])].map((offer) => offer.text);
      if (!options.json)
        return print(completion.reason === undefined ? offers.join("\n---\n") : `(nothing: ${completion.reason})`);
      const flat = candidates.map(({ node, score, retriever }) => ({
        path: node.path,
        level: node.level,
        start: node.start,
        end: node.end,
        score,
        retriever,
      }));
      const scores = others?.map(({ text: other, meanLogProb }) => ({ text: other, meanLogProb }));
      print(JSON.stringify({ ...facts, candidates: flat, ...(scores === undefined ? {} : { others: scores }) }));
    } finally {
      workspace.close();
    }
  });
}

function parsePosition(position: string): { file: string; line: number; column: number } {
  const [, file, line, column] = /^(.+):(\d+):(\d+)$/.exec(position) ?? [];
  if (file === undefined) throw new EngineError("USAGE", `${position} is not FILE:LINE:COLUMN`);
  return { file: resolve(file), line: Number(line), column: Number(column) };
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new EngineError("FILE_MISSING", `${file}: ${messageOf(error)}`, { cause: error });
  }
}

function offsetOf(text: string, line: number, column: number, position: string): number {
  const lines = text.split("\n");
  const found = lines[line - 1];
  if (found === undefined) throw new EngineError("POSITION_INVALID", `${position}: the file has ${lines.length} lines`);
  const width = found.replace(/\r$/, "").length;
  if (column < 1 || column > width + 1)
    throw new EngineError("POSITION_INVALID", `${position}: columns of that line are 1 to ${width + 1}`);
  return lines.slice(0, line - 1).reduce((sum, before) => sum + before.length + 1, 0) + column - 1;
}

/** The nearest folder above with a `.git`; the file's own folder when there is none. */
async function gitRootOf(file: string): Promise<string> {
  for (let dir = dirname(file); ; dir = dirname(dir)) {
    try {
      await stat(join(dir, ".git"));
      return dir;
    } catch (error) {
      const errno = errnoOf(error);
      if (errno !== "ENOENT" && errno !== "ENOTDIR") throw error;
    }
    if (dir === dirname(dir)) return dirname(file);
  }
}

interface EvalOptions extends StoreAndPack {
  readonly repos: string;
  readonly modes: Mode[];
  readonly limit?: number;
  readonly seed: number;
  readonly retrievers?: string[];
  readonly origin?: string;
  readonly checkParse?: boolean;
  readonly copying: boolean;
  readonly out?: string;
}

export async function evalCommand(installation: Installation, tasksFile: string, options: EvalOptions): Promise<void> {
  const { origin, limit = Number.POSITIVE_INFINITY } = options;
  const matching = (await readTasks(tasksFile)).filter(
    (task) => origin === undefined || task.origin?.startsWith(origin),
  );
  const tasks = drawTasks(matching, limit, options.seed);
  if (tasks.length === 0) throw new EngineError("TASKS_INVALID", `${tasksFile} has no task to run`);
  const out = options.out === undefined ? undefined : createWriteStream(options.out);
  const checkParse = options.checkParse ? await createParseCheck() : undefined;
  const report = await withEngine(installation, options, (engine, settings) => {
    const retrievers = options.retrievers ?? settings["retrieval.retrievers"];
    const modes = options.modes.filter((mode) => engine.pack.manifest.modes.includes(mode));
    if (modes.length < options.modes.length) say(engine.compressedFault ?? "The pack lacks a mode that was asked for.");
    say(`${settingOf(engine, tasks.length)}, ${retrievers.join("+")}`);
    return evaluate(engine, tasks, {
      reposDir: resolve(options.repos),
      modes,
      storeParent: storeParent(options.store),
      settings: { ...settings, "retrieval.retrievers": retrievers },
      copies: options.copying,
      ...(checkParse === undefined ? {} : { checkParse }),
      onRow: (row) => out?.write(`${JSON.stringify(row)}\n`),
      onProgress: (done, total) => {
        if (done % 50 === 0) say(`${done} / ${total} tasks`);
      },
    });
  });
  if (out !== undefined) {
    out.end();
    await finished(out);
  }
  print(options.json ? JSON.stringify(report) : tableOf(report));
}

/** What every table must name: pack, budgets, n. */
function settingOf(engine: Engine, n: number): string {
  const { id, version, prompt } = engine.pack.manifest;
  const { left, right, context, pseudoTokens } = prompt.budget;
  const names = prompt.entityNames === undefined ? "" : ` and ≤ ${prompt.entityNames.budget} tokens of names`;
  return `${id} ${version}, ${prompt.order}, left ${left} / right ${right} tokens, retrieved text ≤ ${context} tokens or K = ${pseudoTokens}${names}, n = ${n}`;
}

function tableOf(report: EvalReport): string {
  const columns = [
    "EM %",
    "ES %",
    "offered %",
    "EM written",
    "ES written",
    "TTFT p50",
    "TTFT p95",
    "total p50",
    "prompt",
  ];
  const line = (name: string, cells: readonly string[]) =>
    name.padEnd(12) + cells.map((cell) => cell.padStart(11)).join("");
  const rows = Object.entries(report.modes).map(([mode, s]) =>
    line(mode, [
      ...[s.em, s.es, s.offered, s.written.em, s.written.es].map((it) => it.toFixed(2)),
      ...[s.ttftP50Ms, s.ttftP95Ms, s.totalP50Ms, s.promptTokensMean].map((it) => it.toFixed(0)),
    ]),
  );
  const pairs = Object.entries(report.paired).map(
    ([name, d]) =>
      `${name.padEnd(18)} EM ${signed(d.em)} (p ${d.emP.toFixed(4)}), ES ${signed(d.es)} (p ${d.esP.toFixed(4)}), TTFT × ${d.ttftRatio.toFixed(2)}`,
  );
  const parses = Object.entries(report.modes).flatMap(([mode, { parse }]) =>
    parse === undefined
      ? []
      : `${mode.padEnd(12)}parses with what is offered ${parse.kept.toFixed(2)} % of ${parse.offered}, with what was written ${parse.keptRaw.toFixed(2)} % of ${parse.written}`,
  );
  return [line("mode", columns), ...rows, "", ...pairs, ...(parses.length === 0 ? [] : ["", ...parses])].join("\n");
}

function signed(value: number): string {
  return (value >= 0 ? "+" : "") + value.toFixed(2);
}
