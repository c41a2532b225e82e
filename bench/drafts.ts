// `precis bench drafts`: RepoEval tasks read plainly, with drafts, and as shipped. Is what is written the same, and how much
// sooner is it there?
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Command, Option } from "commander";
import type { Cursor } from "../engine/completion/prompt.ts";
import { parseSettings } from "../engine/config.ts";
import { MODES, type Mode } from "../engine/domain.ts";
import { type Engine, startEngine, type Workspace } from "../engine/engine.ts";
import { cursorOf, drawTasks, readSource, readTasks, score, type Task } from "../engine/evaluate.ts";
import { type Installation, storeDirOf } from "../engine/installation.ts";
import type { Bench } from "./bench.ts";
import { median } from "./median.ts";
import { type Cell, report } from "./report.ts";

interface Options {
  readonly tasks: string;
  readonly repos: string;
  readonly origin: string;
  readonly repo?: string;
  readonly limit: number;
  readonly modes: readonly Mode[];
  readonly seed: number;
  readonly store?: string;
}

export const draftsBench: Bench = {
  name: "drafts",
  description: "tasks without and with drafts, and as shipped: the same text, tokens a run, time a token",
  addOptions: (command: Command) =>
    command
      .requiredOption("--tasks <file>", "RepoEval tasks")
      .requiredOption("--repos <dir>", "the tasks' repositories")
      .option("--origin <name>", "only tasks of this origin", "made")
      .option("--repo <name>", "only tasks of this repository")
      .option("--limit <n>", "tasks drawn", Number, 120)
      .addOption(new Option("--modes <modes...>", "modes asked").choices(MODES).default([...MODES]))
      .option("--seed <n>", "seed of the draw", Number, 1)
      .option("--store <dir>", "indexes kept between runs"),
  run: (options, installation) => run(options as unknown as Options, installation),
};

/** One generation; times are those behind its first token. */
interface Sample {
  readonly text: string;
  /** The reader was not asked: the place before was offered this text. */
  readonly isRemembered: boolean;
  readonly em: 0 | 1;
  readonly ms: number;
  readonly tokens: number;
  readonly promptTokens: number;
  readonly reusedTokens: number;
  readonly runs: number;
  readonly drafted: number;
  readonly accepted: number;
}

/** One task in one mode. */
interface Asked {
  readonly id: string;
  readonly mode: Mode;
  /** By an engine that keeps nothing: without drafts, with them. */
  readonly plain: Sample;
  readonly drafted: Sample;
  /** By an engine as it is shipped, which was asked a little further left before. */
  readonly shipped: Sample;
}

/** So many characters before the task's place the shipped engine is asked first, as if they were typed then. */
const TYPED = 20;

async function run(options: Options, installation: Installation) {
  const scratch = options.store ?? (await mkdtemp(join(tmpdir(), "precis-bench-")));
  const { settings } = parseSettings({});
  const { packsDir, workers } = installation;
  const start = (keeps: boolean) => startEngine({ packsDir, settings, workers, keeps });
  const plain = await start(false);
  const shipped = await start(true);
  const asked: Asked[] = [];
  try {
    const wanted = (await readTasks(options.tasks)).filter(
      ({ origin, repo }) => origin === options.origin && (options.repo === undefined || repo === options.repo),
    );
    const tasks = drawTasks(wanted, options.limit, options.seed);
    for (const [repo, ofRepo] of Map.groupBy(tasks, (task) => task.repo)) {
      const root = join(options.repos, repo);
      const inRepo = async <T>(
        engine: Engine,
        ask: (workspace: Workspace, cursor: Cursor, mode: Mode) => Promise<T>,
      ) => {
        const workspace = await engine.openWorkspace({ root, storeDir: storeDirOf(scratch, root), settings });
        try {
          await workspace.index();
          return await askAll(workspace, root, ofRepo, options.modes, ask);
        } finally {
          workspace.close();
        }
      };
      let n = 0;
      const both = await inRepo(plain, (workspace, cursor, mode) => {
        n += 1;
        return withAndWithout(workspace, cursor, mode, n % 2 === 0);
      });
      // The second engine reads the index that the first one made.
      const afterTyping = await inRepo(shipped, typedBefore);
      both.forEach(({ task, mode, answer }, at) => {
        const last = afterTyping[at]?.answer as (typeof afterTyping)[number]["answer"];
        asked.push({
          id: task.task_id,
          mode,
          plain: sampleOf(answer.plain, task),
          drafted: sampleOf(answer.drafted, task),
          shipped: sampleOf(last, task),
        });
      });
    }
  } finally {
    await plain.close();
    await shipped.close();
    if (options.store === undefined) await rm(scratch, { recursive: true, force: true });
  }
  return reportOf(asked, options);
}

type Completed = Awaited<ReturnType<Workspace["complete"]>>;

/** Every task in every mode, in the tasks' order; a task's line stands in no index while it is asked for. */
async function askAll<T>(
  workspace: Workspace,
  root: string,
  tasks: readonly Task[],
  modes: readonly Mode[],
  ask: (workspace: Workspace, cursor: Cursor, mode: Mode) => Promise<T>,
): Promise<{ task: Task; mode: Mode; answer: T }[]> {
  const answers: { task: Task; mode: Mode; answer: T }[] = [];
  for (const [path, ofFile] of Map.groupBy(tasks, (task) => task.path)) {
    const text = await readSource(root, path);
    for (const task of ofFile) {
      const cursor = cursorOf(text, task);
      await workspace.update({ changed: [{ path, text: cursor.text }], removed: [] });
      for (const mode of modes) answers.push({ task, mode, answer: await ask(workspace, cursor, mode) });
    }
    await workspace.update({ changed: [{ path, text }], removed: [] });
  }
  return answers;
}

async function withAndWithout(
  workspace: Workspace,
  cursor: Cursor,
  mode: Mode,
  isPlainFirst: boolean,
): Promise<{ plain: Completed; drafted: Completed }> {
  const ask = (drafts: boolean) => workspace.complete(cursor, { mode, maxLines: 1, drafts });
  if (isPlainFirst) {
    const plain = await ask(false);
    return { plain, drafted: await ask(true) };
  }
  const drafted = await ask(true);
  return { plain: await ask(false), drafted };
}

async function typedBefore(workspace: Workspace, { path, text, offset }: Cursor, mode: Mode): Promise<Completed> {
  const at = Math.max(1, offset - TYPED);
  await workspace.complete({ path, text: text.slice(0, at) + text.slice(offset), offset: at }, { mode, maxLines: 1 });
  return workspace.complete({ path, text, offset }, { mode, maxLines: 1 });
}

function sampleOf({ text, promptTokens, timings, trace }: Completed, task: Task): Sample {
  const { stages, facts } = trace;
  const number = (name: string) => Number(facts[name] ?? 0);
  return {
    text: String(facts["raw"] ?? ""),
    isRemembered: facts["origin"] !== undefined,
    em: score(text, task.target).em,
    ms: (stages["generate"] ?? 0) - (timings.ttftMs - (stages["retrieve"] ?? 0) - (stages["assemble"] ?? 0)),
    tokens: timings.tokens,
    promptTokens,
    reusedTokens: number("reusedTokens"),
    runs: number("runs"),
    drafted: number("drafted"),
    accepted: number("accepted"),
  };
}

function reportOf(asked: readonly Asked[], { origin, seed, modes, repo }: Options) {
  const ofMode = (mode: Mode) => asked.filter((one) => one.mode === mode);
  const changed = asked.filter(({ plain, drafted, shipped }) => !areSame(plain, drafted) || !areSame(plain, shipped));
  const which = `${origin} tasks${repo === undefined ? "" : ` of ${repo}`}, seed ${seed}; one line each`;
  return report("drafts", [
    {
      title: "drafts looked up in the input and in the retrieved chunks",
      columns: [
        "mode",
        "tasks",
        "same text",
        "tokens a run",
        "accepted of drafted",
        "of all tokens",
        "ms a token",
        "without",
        "times as fast",
        "median task",
      ],
      rows: modes.map((mode) => draftsRow(mode, ofMode(mode))),
      notes: [
        `${which}; both ways in turn, by an engine that keeps nothing; time behind the first token`,
        "accepted: drafted tokens that stood, of those drafted and of all tokens behind the first; median task: of tasks with 4 tokens and more",
      ],
    },
    {
      title: "as shipped beside reading plainly",
      columns: ["mode", "tasks", "from memory", "others", "same text", "EM % plainly", "EM % as shipped", "reused %"],
      rows: modes.map((mode) => shippedRow(mode, ofMode(mode))),
      notes: [
        `${which}; as shipped: asked ${TYPED} characters before the place, then there, with what was read kept, in slices, with drafts`,
        changed.length === 0
          ? "every text the same"
          : `other texts: ${changed.map(({ id, mode }) => `${id} (${mode})`).join(", ")}`,
      ],
    },
  ]);
}

/** What was offered for an earlier place and typed along since may say something else than what is read at this one. */
function areSame(plain: Sample, other: Sample): boolean {
  return other.isRemembered || plain.text === other.text;
}

function draftsRow(mode: Mode, asked: readonly Asked[]): Cell[] {
  const sum = (of: (one: Asked) => number) => asked.reduce((total, one) => total + of(one), 0);
  const tokens = sum(({ plain }) => plain.tokens);
  const long = asked.filter(({ plain }) => plain.tokens >= 4);
  return [
    mode,
    asked.length,
    asked.filter(({ plain, drafted }) => areSame(plain, drafted)).length,
    // A run that ends before a stop token gives none; without drafts it is one token a run but for those.
    sum(({ plain }) => plain.runs) / sum(({ drafted }) => drafted.runs),
    sum(({ drafted }) => drafted.accepted) / sum(({ drafted }) => drafted.drafted),
    sum(({ drafted }) => drafted.accepted) / tokens,
    sum(({ drafted }) => drafted.ms) / tokens,
    sum(({ plain }) => plain.ms) / tokens,
    sum(({ plain }) => plain.ms) / sum(({ drafted }) => drafted.ms),
    median(long.map(({ plain, drafted }) => plain.ms / drafted.ms)),
  ];
}

function shippedRow(mode: Mode, asked: readonly Asked[]): Cell[] {
  const sum = (of: (one: Asked) => number) => asked.reduce((total, one) => total + of(one), 0);
  const read = asked.filter(({ shipped }) => !shipped.isRemembered);
  return [
    mode,
    asked.length,
    asked.length - read.length,
    read.length,
    read.filter(({ plain, shipped }) => areSame(plain, shipped)).length,
    (100 * sum(({ plain }) => plain.em)) / asked.length,
    (100 * sum(({ shipped }) => shipped.em)) / asked.length,
    (100 * sum(({ shipped }) => shipped.reusedTokens)) / sum(({ shipped }) => shipped.promptTokens),
  ];
}
