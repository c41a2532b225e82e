// `precis bench index DIR`: a full build by stage, what a save, a restart and a renamed folder cost beside it, how near
// the encoder comes to the machine's peak, and bytes on disk. Works on a copy; the folder itself is only read.
import { appendFileSync, copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { parseSettings, type Settings } from "../engine/config.ts";
import { type Engine, startEngine } from "../engine/engine.ts";
import { EngineError } from "../engine/errors.ts";
import { encoderText } from "../engine/indexing/embed.ts";
import { readSource } from "../engine/indexing/readSource.ts";
import { scan } from "../engine/indexing/scan.ts";
import type { Installation } from "../engine/installation.ts";
import type { Bench } from "./bench.ts";
import { type EncoderShare, measureEncoder } from "./encoderPeak.ts";
import { killAgainAndAgain } from "./kills.ts";
import { median } from "./median.ts";
import { type Report, report, type Table } from "./report.ts";
import { freeModels, openTimedIndex, STAGES, type TimedIndex } from "./stages.ts";

interface Options {
  readonly args: readonly string[];
  readonly pack: string;
  readonly kills?: number;
  readonly maxDisk?: number;
  readonly saves: number;
}

/** One-file saves are measured on files all over the tree. */
const SAVES = 7;
/** Texts the encoder's share of the peak is measured on. */
const SAMPLE = 256;

export const indexBench: Bench = {
  name: "index",
  description: "a full build by stage; a save, a restart and a renamed folder beside it; bytes; with --kills, crashes",
  addOptions: (command: Command) =>
    command
      .argument("<dir>", "a real tree of source; it is copied, and only read")
      .option("--pack <pack>", "bundled pack's name or a pack folder", "auto")
      .option("--saves <n>", "one-file saves, the median counts", wholeNumber, SAVES)
      .option("--kills <n>", "instead: kill -9 this many times during indexing and saving, then compare", wholeNumber)
      .option("--max-disk <MiB>", "with --kills: a disk budget that the folder does not fit in", wholeNumber),
  run: (options, installation) => run(options as unknown as Options, installation),
};

function wholeNumber(value: string): number {
  const parsed = Number(value);
  if (!Number.isInteger(parsed) || parsed < 1) throw new InvalidArgumentError("not a whole number above 0");
  return parsed;
}

async function run(options: Options, installation: Installation): Promise<Report> {
  const scratch = mkdtempSync(join(tmpdir(), "precis-bench-"));
  const settings: Settings = { ...parseSettings({}).settings, pack: options.pack };
  const engine = await startEngine({ packsDir: installation.packsDir, settings, workers: installation.workers });
  try {
    const tree = await copyTree(engine, settings, resolve(options.args[0] ?? "."), join(scratch, "tree"));
    if (options.kills !== undefined) {
      const { kills, maxDisk } = options;
      const table = await killAgainAndAgain(engine, {
        settings: { ...settings, "index.maxDiskMiB": maxDisk ?? settings["index.maxDiskMiB"] },
        root: tree.root,
        dir: scratch,
        kills,
        isTight: maxDisk !== undefined,
      });
      return report("index", [table]);
    }
    const measured = await measure(engine, settings, tree, scratch, options.saves);
    return report("index", tablesOf(engine, settings, measured), [plotOf(measured)]);
  } finally {
    await engine.close();
    rmSync(scratch, { recursive: true, force: true });
  }
}

interface Tree {
  readonly root: string;
  readonly paths: readonly string[];
  readonly bytes: number;
  /** Of walking and reading every file, from the system's cache. */
  readonly scanSeconds: number;
}

/** What the index would take of the folder, as a folder of its own. */
async function copyTree(engine: Engine, settings: Settings, source: string, root: string): Promise<Tree> {
  const maxFileBytes = settings["index.maxFileKiB"] * 1024;
  const supports = (path: string) => settings["index.otherText"] || engine.chunker.supports(path);
  const found = { exclude: settings["index.exclude"], maxFileBytes, supports };
  for await (const scanned of scan({ ...found, root: source })) {
    if (!("file" in scanned)) continue;
    const target = join(root, scanned.file.path);
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(scanned.file.absolutePath, target);
  }
  mkdirSync(root, { recursive: true });
  const startedAt = performance.now();
  const paths: string[] = [];
  let bytes = 0;
  for await (const scanned of scan({ ...found, root })) {
    if (!("file" in scanned)) continue;
    const read = await readSource(scanned.file, maxFileBytes);
    if (!("file" in read)) continue;
    paths.push(scanned.file.path);
    bytes += read.size;
  }
  if (paths.length < 10)
    throw new EngineError("USAGE", `${source} has ${paths.length} files to index; take a larger tree`);
  return { root, paths, bytes, scanSeconds: (performance.now() - startedAt) / 1000 };
}

interface Cost {
  readonly seconds: number;
  readonly batches: number;
  readonly embedded: number;
}

interface Measured {
  readonly tree: Tree;
  readonly chunks: number;
  readonly dbBytes: number;
  readonly full: Cost & { readonly stages: TimedIndex["seconds"]; readonly peakRssMiB: number };
  readonly save: Cost;
  readonly restart: Cost;
  readonly rename: Cost & { readonly files: number };
  /** Everything but the models. */
  readonly bare: { readonly seconds: number; readonly cpuSeconds: number };
  readonly encoder: EncoderShare;
}

async function measure(engine: Engine, settings: Settings, tree: Tree, scratch: string, saves: number) {
  const { root } = tree;
  const dir = join(scratch, "full");
  let index = openTimedIndex(engine, { root, dir, settings });
  const { problems: _, ...first } = await index.indexer.index();
  const stages = { ...index.seconds };
  const full = { seconds: first.seconds, batches: index.encoderBatches, embedded: first.embedded, stages };
  const peakRssMiB = process.resourceUsage().maxRSS / 1024;
  index.close();
  const startedAt = performance.now();
  index = openTimedIndex(engine, { root, dir, settings });
  const again = await index.indexer.index();
  const restart = { ...costOf(index, startedAt), embedded: again.embedded };
  const texts = sampleTexts(index, SAMPLE);
  const save = await measureSaves(index, tree, saves);
  const rename = await measureRename(index, tree);
  index.close();
  const bare = await measureBare(engine, settings, tree, join(scratch, "bare"));
  const threads = settings["execution.threads"] || Math.max(1, availableParallelism() - 1);
  const encoder = await measureEncoder(engine, texts, threads);
  const { chunks, dbBytes } = first;
  return {
    tree,
    chunks,
    dbBytes,
    full: { ...full, peakRssMiB },
    save,
    restart,
    rename,
    bare,
    encoder,
  } satisfies Measured;
}

function costOf(index: TimedIndex, startedAt: number, batchesBefore = 0): Omit<Cost, "embedded"> {
  return { seconds: (performance.now() - startedAt) / 1000, batches: index.encoderBatches - batchesBefore };
}

/** A function is added to a file, and the file is told of: until it can be searched. */
async function measureSaves(index: TimedIndex, { root, paths }: Tree, saves: number): Promise<Cost> {
  const costs: Cost[] = [];
  for (let n = 0; n < saves; n += 1) {
    const path = paths[Math.floor(((n + 0.5) * paths.length) / saves)] ?? "";
    appendFileSync(join(root, path), `\n\ndef saved_${n}(first, second):\n    return first * ${n} + second\n`);
    const before = index.encoderBatches;
    const startedAt = performance.now();
    const { embedded } = await index.indexer.refresh([path]);
    costs.push({ ...costOf(index, startedAt, before), embedded });
  }
  const of = (field: keyof Cost) => median(costs.map((cost) => cost[field]));
  return {
    seconds: of("seconds"),
    batches: Math.max(...costs.map(({ batches }) => batches)),
    embedded: of("embedded"),
  };
}

/** The folder with the most files below it, the root's own children only. */
async function measureRename(index: TimedIndex, { root, paths }: Tree) {
  const counts = Map.groupBy(
    paths.filter((path) => path.includes("/")),
    (path) => path.slice(0, path.indexOf("/")),
  );
  const [folder, inside] = [...counts].sort(([, a], [, b]) => b.length - a.length)[0] ?? ["", []];
  const before = index.encoderBatches;
  const startedAt = performance.now();
  if (folder === "") return { ...costOf(index, startedAt, before), embedded: 0, files: 0 };
  renameSync(join(root, folder), join(root, `${folder}_renamed`));
  const { embedded } = await index.indexer.refresh([folder, `${folder}_renamed`]);
  const cost = costOf(index, startedAt, before);
  renameSync(join(root, `${folder}_renamed`), join(root, folder));
  return { ...cost, embedded, files: inside.length };
}

async function measureBare(engine: Engine, settings: Settings, { root }: Tree, dir: string) {
  const index = openTimedIndex(engine, { root, dir, settings, models: freeModels(engine) });
  const cpu = process.cpuUsage();
  const { seconds } = await index.indexer.index();
  const { user, system } = process.cpuUsage(cpu);
  index.close();
  return { seconds, cpuSeconds: (user + system) / 1e6 };
}

/** What the encoder reads of chunks all over the tree, ordered by length as an indexing batch is. */
function sampleTexts({ store }: TimedIndex, n: number): string[] {
  const ids = [...store.chunkIdentifiers()].map(({ id }) => id);
  const step = Math.max(1, Math.floor(ids.length / n));
  const nodes = store.nodes(ids.filter((_, at) => at % step === 0).slice(0, n));
  const texts = nodes.flatMap(({ features, text, ...span }) =>
    features === undefined ? [] : [encoderText({ ...span, text, features, tokens: 0 })],
  );
  return texts.sort((a, b) => a.length - b.length);
}

function tablesOf(engine: Engine, settings: Settings, measured: Measured): Table[] {
  const { tree, chunks, dbBytes, full, save, restart, rename, bare, encoder } = measured;
  const files = tree.paths.length;
  const { id, version } = engine.pack.manifest;
  const threads = settings["execution.threads"] || Math.max(1, availableParallelism() - 1);
  const busy = stageSeconds(measured);
  const sum = busy.reduce((total, { seconds }) => total + seconds, 0);
  const ratio = (cost: Cost) => (100 * cost.seconds) / full.seconds;
  return [
    {
      title: `Full build: ${files} files, ${(tree.bytes / 1e6).toFixed(1)} MB, ${chunks} chunks`,
      columns: ["stage", "seconds", "share %"],
      rows: [
        ...busy.map(({ stage, seconds }) => [stage, seconds, (100 * seconds) / sum]),
        ["wall", full.seconds, null],
      ],
      notes: [
        `${id} ${version}, ${threads} thread(s) for the models; stages overlap: shares are of their summed ${sum.toFixed(1)} s.`,
        `${(files / full.seconds).toFixed(1)} files/s, ${(chunks / full.seconds).toFixed(0)} chunks/s; peak RSS ${full.peakRssMiB.toFixed(0)} MiB.`,
      ],
    },
    {
      title: "Scanning, parsing and storing together, vectors for nothing",
      columns: ["files/s", "MB/s", "files / CPU s", "CPU s / wall s"],
      rows: [
        [
          files / bare.seconds,
          tree.bytes / 1e6 / bare.seconds,
          files / bare.cpuSeconds,
          bare.cpuSeconds / bare.seconds,
        ],
      ],
      notes: ["n = 1 pass into an empty store; a machine that is shared shows in CPU s / wall s below 2."],
    },
    {
      title: "Beside the full build",
      columns: ["what", "seconds", "% of build", "encoder batches", "embedded"],
      rows: [
        ["full build", full.seconds, 100, full.batches, full.embedded],
        [`one-file save, median of several`, save.seconds, ratio(save), save.batches, save.embedded],
        ["restart, nothing changed", restart.seconds, ratio(restart), restart.batches, restart.embedded],
        [`folder of ${rename.files} files renamed`, rename.seconds, ratio(rename), rename.batches, rename.embedded],
      ],
      notes: [
        "Batches hold up to 16 texts; of saves, the most of any. A restart includes opening and checking the store.",
      ],
    },
    {
      title: "Encoder beside bare products of its matrices, same runtime, format and threads",
      columns: ["tokens/s", "GFLOP/s", "peak GFLOP/s", "share %"],
      rows: [[encoder.tokensPerSecond, encoder.gflops, encoder.peakGflops, 100 * encoder.share]],
      notes: [
        `${SAMPLE} chunks, ${encoder.meanTokens} tokens each on average; median of 5 rounds in turns. The encoder's time holds tokenizing,`,
        "attention, normalisation and the thread's messages; only its matrices count as arithmetic. Bare products quantise their",
        "rows each for itself: matrices that share them can be faster.",
      ],
    },
    {
      title: "Disk",
      columns: ["MB", "bytes / source byte", "bytes / chunk"],
      rows: [[dbBytes / 1e6, dbBytes / tree.bytes, dbBytes / chunks]],
    },
  ];
}

function stageSeconds({ tree, full }: Measured): { stage: string; seconds: number }[] {
  return [
    { stage: "scan", seconds: tree.scanSeconds },
    ...STAGES.map((stage) => ({ stage, seconds: full.stages[stage] })),
  ];
}

function plotOf(measured: Measured): object {
  return {
    title: `Full build of ${measured.tree.paths.length} files: seconds by stage`,
    width: 460,
    height: 180,
    data: { values: stageSeconds(measured) },
    layer: [
      { mark: "bar" },
      {
        mark: { type: "text", align: "left", dx: 3 },
        encoding: { text: { field: "seconds", type: "quantitative", format: ".1f" } },
      },
    ],
    encoding: {
      y: { field: "stage", type: "nominal", sort: null, title: null },
      x: { field: "seconds", type: "quantitative", title: "seconds of work (stages overlap)" },
    },
  };
}
