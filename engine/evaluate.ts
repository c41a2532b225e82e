// RepoEval line completion through the whole engine: EM and ES per mode, with paired tests between modes.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { distance } from "fastest-levenshtein";
import type { Cursor } from "./completion/prompt.ts";
import type { Settings } from "./config.ts";
import { MODES, type Mode } from "./domain.ts";
import type { Engine, Workspace } from "./engine.ts";
import { EngineError, messageOf } from "./errors.ts";
import { storeDirOf } from "./installation.ts";
import { type ParseCheck, type ParseScore, type Parses, scoreParses } from "./parseCheck.ts";

export interface Task {
  readonly task_id: string;
  readonly repo: string;
  readonly path: string;
  /** 0-based. */
  readonly line: number;
  readonly target: string;
  readonly origin?: string;
}

export interface TaskRow {
  readonly task_id: string;
  readonly origin: string;
  readonly mode: Mode;
  readonly target: string;
  readonly prediction: string;
  readonly em: 0 | 1;
  readonly es: number;
  readonly reason?: string;
  readonly promptTokens: number;
  readonly contextTokens: number;
  readonly pseudoTokens: number;
  readonly ttftMs: number;
  readonly totalMs: number;
  /** The best overlap retrieval found; absent where it was not measured. */
  readonly overlap?: number;
  /** What the reader wrote, before any filter, and how it ended. */
  readonly raw: string;
  readonly ended: string;
  /** What was offered, as accepting would insert it. */
  readonly text: string;
  readonly parses?: Parses;
}

export interface ModeScore {
  readonly n: number;
  /** Percent. */
  readonly em: number;
  readonly es: number;
  readonly ttftP50Ms: number;
  readonly ttftP95Ms: number;
  readonly totalP50Ms: number;
  readonly promptTokensMean: number;
  /** Percent of the tasks for which something was offered; what is held back counts as wrong in `em` and `es`. */
  readonly offered: number;
  /** The same two scores, in percent, of what the reader wrote, before any filter. */
  readonly written: { readonly em: number; readonly es: number };
  /** Only where parses were checked. */
  readonly parse?: ParseScore;
}

export interface PairedDifference {
  /** Percentage points, later mode minus earlier. */
  readonly em: number;
  readonly es: number;
  /** Two-sided, paired bootstrap over tasks. */
  readonly emP: number;
  readonly esP: number;
  readonly ttftRatio: number;
}

export interface EvalOptions {
  readonly reposDir: string;
  /** Each one of the pack's own: another would be scored as the one that stands in for it. */
  readonly modes: readonly Mode[];
  readonly storeParent: string;
  readonly settings: Settings;
  readonly checkParse?: ParseCheck;
  /** False: the reader alone writes. */
  readonly copies?: boolean;
  readonly onRow: (row: TaskRow) => void;
  readonly onProgress: (done: number, total: number) => void;
}

export interface EvalReport {
  readonly modes: Partial<Record<Mode, ModeScore>>;
  readonly paired: Record<string, PairedDifference>;
}

export async function readTasks(file: string): Promise<Task[]> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    throw new EngineError("FILE_MISSING", `${file}: ${messageOf(error)}`, { cause: error });
  }
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line, n) => parseTask(line, `${file}:${n + 1}`));
}

function parseTask(line: string, where: string): Task {
  let raw: Partial<Record<keyof Task, unknown>>;
  try {
    raw = JSON.parse(line);
  } catch (error) {
    throw new EngineError("TASKS_INVALID", `${where} is not JSON: ${messageOf(error)}`, { cause: error });
  }
  const isTask =
    typeof raw.task_id === "string" &&
    typeof raw.repo === "string" &&
    typeof raw.path === "string" &&
    Number.isInteger(raw.line) &&
    typeof raw.target === "string";
  if (!isTask) throw new EngineError("TASKS_INVALID", `${where} lacks a field or has one of the wrong type`);
  return raw as Task;
}

/** `limit` tasks drawn without replacement by `seed`, in the file's order. */
export function drawTasks(tasks: readonly Task[], limit: number, seed: number): Task[] {
  if (limit >= tasks.length) return [...tasks];
  const random = randomOf(seed);
  const order = tasks.map((_, n) => ({ n, key: random() })).sort((a, b) => a.key - b.key);
  const drawn = new Set(order.slice(0, limit).map(({ n }) => n));
  return tasks.filter((_, n) => drawn.has(n));
}

/** Tasks run file by file; the target's line is blank in what is indexed and in what the reader sees. */
export async function evaluate(engine: Engine, tasks: readonly Task[], options: EvalOptions): Promise<EvalReport> {
  const rows: TaskRow[] = [];
  const byRepo = Map.groupBy(tasks, (task) => task.repo);
  for (const [repo, ofRepo] of byRepo) {
    const root = join(options.reposDir, repo);
    const workspace = await engine.openWorkspace({
      root,
      storeDir: storeDirOf(options.storeParent, root),
      settings: options.settings,
    });
    try {
      await workspace.index();
      for (const [path, ofFile] of Map.groupBy(ofRepo, (task) => task.path)) {
        const text = await readSource(root, path);
        for (const task of ofFile) {
          for (const row of await runTask(workspace, text, task, options)) {
            rows.push(row);
            options.onRow(row);
          }
          options.onProgress(rows.length / options.modes.length, tasks.length);
        }
        await workspace.update({ changed: [{ path, text }], removed: [] });
      }
    } finally {
      workspace.close();
    }
  }
  return reportOf(rows, options.modes);
}

/** Throws `FILE_MISSING`. */
export async function readSource(root: string, path: string): Promise<string> {
  try {
    return await readFile(join(root, path), "utf8");
  } catch (error) {
    throw new EngineError("FILE_MISSING", `${join(root, path)}: ${messageOf(error)}`, { cause: error });
  }
}

/** Where a task asks for its line, which its file does not hold; `text` is the whole file. */
export function cursorOf(text: string, task: Task): Cursor {
  const lines = text.split("\n");
  if (lines[task.line]?.replace(/\r$/, "") !== task.target) {
    throw new EngineError("TASKS_INVALID", `${task.task_id}: line ${task.line} of ${task.path} is not the target`);
  }
  const before = lines
    .slice(0, task.line)
    .map((line) => `${line}\n`)
    .join("");
  const after = lines
    .slice(task.line + 1)
    .map((line) => `\n${line}`)
    .join("");
  return { path: task.path, text: before + after, offset: before.length };
}

async function runTask(
  workspace: Workspace,
  text: string,
  task: Task,
  { modes, checkParse, copies = true }: EvalOptions,
): Promise<TaskRow[]> {
  const cursor = cursorOf(text, task);
  await workspace.update({ changed: [{ path: task.path, text: cursor.text }], removed: [] });
  const rows: TaskRow[] = [];
  for (const mode of modes) {
    const completion = await workspace.complete(cursor, { mode, maxLines: 1, copies });
    const { prediction, em, es } = score(completion.text, task.target);
    const { raw: written = "", overlap } = completion.trace.facts;
    const raw = String(written);
    const offer = completion.reason === undefined ? completion : undefined;
    const parses = checkParse?.({ ...cursor, target: task.target, offer, raw });
    rows.push({
      task_id: task.task_id,
      origin: task.origin ?? "",
      mode,
      target: task.target,
      prediction,
      em,
      es,
      ...(completion.reason === undefined ? {} : { reason: completion.reason }),
      promptTokens: completion.promptTokens,
      contextTokens: completion.contextTokens,
      pseudoTokens: completion.pseudoTokens,
      ttftMs: completion.timings.ttftMs,
      totalMs: completion.timings.totalMs,
      ...(typeof overlap === "number" ? { overlap } : {}),
      raw,
      ended: String(completion.trace.facts["ended"] ?? ""),
      text: completion.text,
      ...(parses === undefined ? {} : { parses }),
    });
  }
  return rows;
}

/** RepoCoder's EM and ES: prediction cut to the target's line count (one), both stripped. */
export function score(text: string, target: string): { prediction: string; em: 0 | 1; es: number } {
  const prediction = (text.split("\n").find((line) => line.trim() !== "") ?? "").trim();
  const wanted = target.trim();
  const longest = Math.max(prediction.length, wanted.length);
  return {
    prediction,
    em: prediction === wanted ? 1 : 0,
    es: longest === 0 ? 1 : 1 - distance(prediction, wanted) / longest,
  };
}

export function reportOf(rows: readonly TaskRow[], modes: readonly Mode[]): EvalReport {
  const byMode = new Map(modes.map((mode) => [mode, rows.filter((row) => row.mode === mode)]));
  const scores: Partial<Record<Mode, ModeScore>> = {};
  for (const [mode, ofMode] of byMode) {
    const ttft = ofMode.map((row) => row.ttftMs);
    scores[mode] = {
      n: ofMode.length,
      em: 100 * mean(ofMode.map((row) => row.em)),
      es: 100 * mean(ofMode.map((row) => row.es)),
      ttftP50Ms: quantile(ttft, 0.5),
      ttftP95Ms: quantile(ttft, 0.95),
      totalP50Ms: quantile(
        ofMode.map((row) => row.totalMs),
        0.5,
      ),
      promptTokensMean: mean(ofMode.map((row) => row.promptTokens)),
      offered: 100 * mean(ofMode.map((row) => (row.reason === undefined ? 1 : 0))),
      written: writtenScore(ofMode),
      ...(ofMode.some((row) => row.parses !== undefined)
        ? { parse: scoreParses(ofMode.map((row) => row.parses)) }
        : {}),
    };
  }
  const paired: Record<string, PairedDifference> = {};
  const ordered = MODES.filter((mode) => modes.includes(mode));
  ordered.forEach((a, n) => {
    for (const b of ordered.slice(n + 1)) paired[`${b}-${a}`] = difference(byMode.get(a) ?? [], byMode.get(b) ?? []);
  });
  return { modes: scores, paired };
}

function writtenScore(rows: readonly TaskRow[]): ModeScore["written"] {
  const scores = rows.map((row) => score(row.raw, row.target));
  return { em: 100 * mean(scores.map(({ em }) => em)), es: 100 * mean(scores.map(({ es }) => es)) };
}

function difference(a: readonly TaskRow[], b: readonly TaskRow[]): PairedDifference {
  const em = b.map((row, n) => row.em - (a[n]?.em ?? 0));
  const es = b.map((row, n) => row.es - (a[n]?.es ?? 0));
  return {
    em: 100 * mean(em),
    es: 100 * mean(es),
    emP: pairedBootstrap(em),
    esP: pairedBootstrap(es),
    ttftRatio:
      quantile(
        b.map((row) => row.ttftMs),
        0.5,
      ) /
      quantile(
        a.map((row) => row.ttftMs),
        0.5,
      ),
  };
}

/** Two-sided p of "the mean difference is 0": twice the share of resampled means on the other side of 0, at most 1. */
export function pairedBootstrap(differences: readonly number[], resamples = 10_000, seed = 0): number {
  if (differences.length === 0) return 1;
  const random = randomOf(seed);
  let atOrBelow = 0;
  let atOrAbove = 0;
  for (let round = 0; round < resamples; round += 1) {
    let sum = 0;
    for (let n = 0; n < differences.length; n += 1) sum += differences[Math.floor(random() * differences.length)] ?? 0;
    if (sum <= 0) atOrBelow += 1;
    if (sum >= 0) atOrAbove += 1;
  }
  return Math.min(1, (2 * (Math.min(atOrBelow, atOrAbove) + 1)) / (resamples + 1));
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}

function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;
}

/** mulberry32: a small seeded generator of [0, 1), the same on every machine. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
