// Offers of the whole engine at places whose continuation is known, with what the gate saw and whether they were right.
import { appendFile, readdir, readFile } from "node:fs/promises";
import { join, sep } from "node:path";
import type { GateFeatures } from "../engine/completion/gateFeatures.ts";
import type { Settings } from "../engine/config.ts";
import type { Mode } from "../engine/domain.ts";
import type { Engine, Workspace } from "../engine/engine.ts";
import type { Task } from "../engine/evaluate.ts";
import { storeDirOf } from "../engine/installation.ts";
import { columnIn, compare, drawPositions, type Position, positionAt } from "./positions.ts";
import { randomOf } from "./random.ts";

export interface WeighedRow {
  readonly repo: string;
  readonly path: string;
  /** `line` the whole line was asked for, `rest` what follows a cursor inside it. */
  readonly kind: "line" | "rest";
  readonly mode: Mode;
  readonly offer: string;
  readonly truth: string;
  /** Why nothing was offered; absent when something was. */
  readonly reason?: string;
  readonly outcome: "exact" | "beginning" | "wrong" | "none";
  readonly features: GateFeatures;
  readonly facts: Readonly<Record<string, string | number>>;
}

export interface Collecting {
  readonly engine: Engine;
  readonly settings: Settings;
  readonly storeParent: string;
  readonly say: (line: string) => void;
  /** Called with each row, so that a run that is ended has not been for nothing. */
  readonly keep: (row: WeighedRow) => Promise<void>;
}

/** Places drawn from the Python files of every folder directly under `dir`, in turn one of `modes` each. */
export async function rowsOfFolders(
  dir: string,
  n: number,
  modes: readonly Mode[],
  seed: number,
  how: Collecting,
): Promise<WeighedRow[]> {
  const folders = (await readdir(dir, { withFileTypes: true })).filter((found) => found.isDirectory());
  const files = new Map<string, string[]>();
  for (const { name } of folders) files.set(name, await pythonFiles(join(dir, name)));
  const total = [...files.values()].reduce((sum, paths) => sum + paths.length, 0);
  const rows: WeighedRow[] = [];
  for (const [repo, paths] of files) {
    const root = join(dir, repo);
    const positions = await drawPositions(root, paths, Math.round((n * paths.length) / total), seed);
    await inWorkspace(root, how, async (workspace) => {
      for (const [at, position] of positions.entries()) {
        const row = await ask(workspace, repo, position, modes[at % modes.length] ?? "full", how.settings);
        rows.push(row);
        await how.keep(row);
      }
    });
    how.say(`${repo}: ${rows.length} of about ${n}`);
  }
  return rows;
}

/** Each task's line, and a seeded place inside that line; the line is in no index. */
export async function rowsOfTasks(
  tasks: readonly Task[],
  reposDir: string,
  mode: Mode,
  seed: number,
  how: Collecting,
): Promise<WeighedRow[]> {
  const random = randomOf(seed);
  const rows: WeighedRow[] = [];
  for (const [repo, ofRepo] of Map.groupBy(tasks, (task) => task.repo)) {
    const root = join(reposDir, repo);
    await inWorkspace(root, how, async (workspace) => {
      for (const [path, ofFile] of Map.groupBy(ofRepo, (task) => task.path)) {
        const text = await readFile(join(root, path), "utf8");
        for (const { line, target } of ofFile) {
          const indentation = /^\s*/.exec(target)?.[0].length ?? 0;
          const column = columnIn(target, indentation, random);
          const whole = positionAt(path, text, line, 0, true);
          await workspace.update({ changed: [{ path, text: whole.text }], removed: [] });
          // The inner place first: behind the whole line its rest would be answered from memory, unweighed.
          for (const position of [positionAt(path, text, line, column, false), whole]) {
            const row = await ask(workspace, repo, position, mode, how.settings);
            rows.push(row);
            await how.keep(row);
          }
        }
        await workspace.update({ changed: [{ path, text }], removed: [] });
      }
    });
    how.say(`${repo}: ${rows.length} of ${2 * tasks.length}`);
  }
  return rows;
}

async function ask(
  workspace: Workspace,
  repo: string,
  position: Position,
  mode: Mode,
  settings: Settings,
): Promise<WeighedRow> {
  const { path, text, offset, truth, isLineStart } = position;
  const maxLines = settings["completion.maxLines"];
  const completion = await workspace.complete({ path, text, offset }, { mode, maxLines });
  const isOffered = completion.reason === undefined;
  return {
    repo,
    path,
    kind: isLineStart ? "line" : "rest",
    mode,
    offer: completion.text,
    truth,
    ...(completion.reason === undefined ? {} : { reason: completion.reason }),
    outcome: isOffered ? compare(completion.text, position) : "none",
    features: completion.verdict?.features ?? {},
    facts: completion.verdict?.facts ?? {},
  };
}

async function inWorkspace(
  root: string,
  how: Collecting,
  work: (workspace: Workspace) => Promise<void>,
): Promise<void> {
  const { engine, settings, storeParent } = how;
  const workspace = await engine.openWorkspace({ root, storeDir: storeDirOf(storeParent, root), settings });
  try {
    await workspace.index();
    await work(workspace);
  } finally {
    workspace.close();
  }
}

export async function pythonFiles(root: string): Promise<string[]> {
  const found = await readdir(root, { recursive: true });
  return found
    .filter((path) => path.endsWith(".py"))
    .map((path) => path.split(sep).join("/"))
    .sort();
}

export async function readRows(file: string): Promise<WeighedRow[]> {
  const text = await readFile(file, "utf8");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as WeighedRow);
}

export async function keepRow(file: string | undefined, row: WeighedRow): Promise<void> {
  if (file !== undefined) await appendFile(file, `${JSON.stringify(row)}\n`);
}
