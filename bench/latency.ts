// `precis bench latency`: what retrieved text costs the reader in time, and pseudo-tokens do not (LlavaCode, tables 5 to 8).
import { availableParallelism } from "node:os";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { ReaderInput } from "../engine/domain.ts";
import { openReader, type ReaderFiles } from "../engine/infer/reader.ts";
import { openRuntime } from "../engine/infer/runtime.ts";
import type { Installation } from "../engine/installation.ts";
import { findPack, openPack } from "../engine/pack/pack.ts";
import { READER_FORMATS, type ReaderFormat } from "../engine/pack/readerFormat.ts";
import type { Bench } from "./bench.ts";
import { median } from "./median.ts";
import { PEERS, type Peer } from "./peers/peers.ts";
import { type Cell, type Report, report, type Table } from "./report.ts";
import { randomReader, SHAPE_NAMES, SHAPES, type ShapeName } from "./shapes.ts";

interface Options {
  readonly shape?: ShapeName;
  readonly random?: boolean;
  readonly format: readonly ReaderFormat[];
  readonly threads: number;
  readonly repeats: number;
  readonly newTokens: number;
  readonly provider: readonly string[];
  /** A name in `PEERS`. */
  readonly peer?: string;
  /** Nothing but the comparison with the peer. */
  readonly peerOnly?: boolean;
  /** Lengths of the comparison with the peer. */
  readonly prompts: readonly number[];
}

/** Positions each mode reads. In the paper 500 tokens of retrieved text become 10 pseudo-tokens. */
interface Row {
  readonly full: number;
  readonly compressed: number;
  readonly pseudoTokens: number;
  /** TTFT compressed / full in LlavaCode, tables 5 to 8. */
  readonly paper?: number;
}

const PAPER: readonly Row[] = [
  { full: 2500, compressed: 2010, pseudoTokens: 10, paper: 0.79 },
  { full: 2000, compressed: 1510, pseudoTokens: 10 },
  { full: 1500, compressed: 1010, pseudoTokens: 10, paper: 0.62 },
];

/** Prompts of the comparison with other programs, and how much lies before the tokens that are decoded. */
const PEER_PROMPTS = [512, 1010, 2010] as const;
const PEER_PAST = 1010;

export const latency: Bench = {
  name: "latency",
  description: "time to the first token and per token: full, compressed and none, cold caches",
  addOptions: (command: Command) =>
    command
      .addOption(new Option("--shape <name>", "a reader of this size instead of the pack's").choices(SHAPE_NAMES))
      .option("--random", "random weights; the only ones there are for --shape")
      .addOption(
        new Option("--format <formats...>", "matrix formats of --shape")
          .choices(READER_FORMATS)
          .default(["int8-q4", "int8", "q4"]),
      )
      .addOption(new Option("--provider <names...>", "execution providers, best first").default(["cpu"]))
      .addOption(
        new Option("--threads <n>", "threads of every program").argParser(Number).default(availableParallelism()),
      )
      .addOption(new Option("--repeats <n>", "interleaved repeats").argParser(Number).default(5))
      .addOption(new Option("--new-tokens <n>", "tokens generated behind each prompt").argParser(Number).default(16))
      .addOption(new Option("--peer <program>", "the same shapes through another program").choices(Object.keys(PEERS)))
      .option("--peer-only", "leave out what the comparison with the peer does not need")
      .addOption(
        new Option("--prompts <n...>", "prompts of the comparison with the peer")
          .argParser((text: string, before: readonly number[] | undefined) =>
            before === undefined || before === PEER_PROMPTS ? [Number(text)] : [...before, Number(text)],
          )
          .default(PEER_PROMPTS),
      ),
  run: (options, installation) => run(options as unknown as Options, installation),
};

/** One thing measured at one length; all of them take turns. */
interface Lane {
  readonly key: string;
  readonly positions: number;
  readonly ask: (repeat: number) => Promise<Sample>;
  readonly samples: Sample[];
}

interface Sample {
  readonly ttftMs: number;
  readonly tpotMs: number;
}

async function run(options: Options, installation: Installation): Promise<Report> {
  const targets = await targetsOf(options, installation);
  const closers: (() => Promise<void>)[] = [];
  try {
    const lanes: Lane[] = [];
    for (const { name, files, rows } of targets) {
      const { runtime } = await openRuntime(options.provider, options.threads);
      const { reader } = await openReader(files, runtime);
      closers.push(reader.close);
      for (const { positions, pseudoTokens } of promptsOf(rows, options.peer === undefined ? [] : options.prompts)) {
        const ask = (repeat: number) => askReader(reader, files, positions, pseudoTokens, options.newTokens, repeat);
        lanes.push({ key: keyOf(name, positions), positions, ask, samples: [] });
      }
    }
    const peers = await openPeers(options);
    for (const peer of peers) {
      closers.push(() => peer.close());
      for (const positions of options.prompts) {
        const ask = async () => ({
          ttftMs: await peer.prefill(positions),
          tpotMs: positions === PEER_PAST ? await peer.decode(positions, options.newTokens) : Number.NaN,
        });
        lanes.push({ key: keyOf(peer.name, positions), positions, ask, samples: [] });
      }
    }
    // What is compared is measured one after another: a busy neighbour slows all of it.
    lanes.sort((a, b) => a.positions - b.positions);
    await takeTurns(lanes, options.repeats);
    const found = new Map(lanes.map((lane) => [lane.key, summaryOf(lane.samples, median)]));
    const notes = [
      `medians of ${options.repeats} interleaved repeats after one warm-up; cold caches; ${options.threads} threads; ` +
        `${options.newTokens} new tokens; provider ${options.provider.join(", ")}`,
      ...(options.shape === undefined ? [] : [`shape ${options.shape}, random weights, seed 1`]),
    ];
    const withModes = targets.filter(({ rows }) => rows.length > 0);
    const samples = new Map(lanes.map((lane) => [lane.key, lane.samples]));
    const tables = withModes.map(({ name, rows }) => modesTable(name, rows, found, ratiosOf(samples), notes));
    if (peers.length > 0) {
      const names = targets.map(({ name }) => name);
      // On a machine that others work on too, the fastest repeats are the ones that nobody disturbed.
      const least = (values: readonly number[]) => Math.min(...values);
      const pairs =
        "times as fast: the median of the repeats' ratios to the better of the peer's settings in each column";
      tables.push(
        peersTable("beside other programs", names, peers, options.prompts, found, ratiosOf(samples), [...notes, pairs]),
        peersTable(
          "the same, the fastest repeat of each",
          names,
          peers,
          options.prompts,
          new Map(lanes.map((lane) => [lane.key, summaryOf(lane.samples, least)])),
          (own, peer, part) => least(samplesOf(samples, peer, part)) / least(samplesOf(samples, own, part)),
          ["times as fast: by the fastest repeats, against the better of the peer's settings in each column"],
        ),
      );
    }
    return report(
      "latency",
      tables,
      withModes.map(({ name, rows }) => plotOf(name, rows, found)),
    );
  } finally {
    for (const close of closers) await close();
  }
}

interface Target {
  readonly name: string;
  readonly files: ReaderFiles;
  readonly rows: readonly Row[];
}

async function targetsOf(options: Options, installation: Installation): Promise<Target[]> {
  const { shape } = options;
  if (shape !== undefined) {
    return Promise.all(
      options.format.map(async (format) => ({
        name: `${shape} ${format}`,
        files: await randomReader(shape, format),
        rows: options.peerOnly === true ? [] : PAPER,
      })),
    );
  }
  const pack = await openPack(await findPack("auto", installation.packsDir));
  const { left, right, context, pseudoTokens } = pack.manifest.prompt.budget;
  const none = left + right;
  const row = { full: none + context, compressed: none + pseudoTokens, pseudoTokens };
  return [{ name: pack.manifest.id, files: pack, rows: [row] }];
}

/** Every prompt that the tables need, each once. */
function promptsOf(rows: readonly Row[], lengths: readonly number[]): { positions: number; pseudoTokens: number }[] {
  const prompts = rows.flatMap(({ full, compressed, pseudoTokens }) => [
    { positions: full, pseudoTokens: 0 },
    { positions: compressed, pseudoTokens },
    { positions: compressed - pseudoTokens, pseudoTokens: 0 },
  ]);
  prompts.push(...lengths.map((positions) => ({ positions, pseudoTokens: 0 })));
  const byLength = new Map(prompts.map((prompt) => [prompt.positions, prompt]));
  return [...byLength.values()];
}

async function askReader(
  reader: Awaited<ReturnType<typeof openReader>>["reader"],
  { manifest }: ReaderFiles,
  positions: number,
  pseudoTokens: number,
  newTokens: number,
  repeat: number,
): Promise<Sample> {
  const { readerDim, vocabSize } = manifest.reader;
  const input = randomInput(positions - pseudoTokens, pseudoTokens, readerDim, vocabSize, repeat * 8191 + positions);
  const vocabulary = { lineBreaks: new Uint8Array(vocabSize), isBlank: new Uint8Array(vocabSize) };
  const options = { maxNewTokens: newTokens, stopTokens: [], maxLines: Number.POSITIVE_INFINITY };
  const { ttftMs, totalMs, tokens, reusedTokens } = await reader.generate(input, options, vocabulary, () => false);
  if (reusedTokens > 0) throw new Error(`the cache was not cold: ${reusedTokens} positions were taken over`);
  return { ttftMs, tpotMs: (totalMs - ttftMs) / (tokens.length - 1) };
}

/** Random tokens behind random rows; no two seeds begin alike. */
export function randomInput(
  tokens: number,
  pseudoTokens: number,
  readerDim: number,
  vocabSize: number,
  seed: number,
): ReaderInput {
  let state = (seed * 2654435761) >>> 0;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return {
    pseudoTokens: Float32Array.from({ length: pseudoTokens * readerDim }, () => 0.1 * (next() - 0.5)),
    tokens: Int32Array.from({ length: tokens }, () => Math.floor(next() * vocabSize)),
  };
}

async function openPeers({ peer, shape, threads }: Options): Promise<Peer[]> {
  if (peer === undefined) return [];
  const open = PEERS[peer];
  if (open === undefined || shape === undefined) throw new InvalidArgumentError("--peer needs --shape");
  return open(SHAPES[shape], threads);
}

/** One warm-up, then every repeat begins with another lane, so that no lane always follows the same one. */
async function takeTurns(lanes: readonly Lane[], repeats: number): Promise<void> {
  for (let repeat = 0; repeat <= repeats; repeat += 1) {
    for (let n = 0; n < lanes.length; n += 1) {
      const lane = lanes[(n + repeat) % lanes.length];
      if (lane === undefined) continue;
      const sample = await lane.ask(repeat + 1);
      if (repeat > 0) lane.samples.push(sample);
    }
  }
}

function keyOf(name: string, positions: number): string {
  return `${name} @ ${positions}`;
}

function summaryOf(samples: readonly Sample[], of: (values: readonly number[]) => number): Sample {
  return { ttftMs: of(samples.map((s) => s.ttftMs)), tpotMs: of(samples.map((s) => s.tpotMs)) };
}

function modesTable(
  name: string,
  rows: readonly Row[],
  found: ReadonlyMap<string, Sample>,
  ratio: Ratio,
  notes: string[],
): Table {
  const at = (positions: number) => found.get(keyOf(name, positions)) ?? { ttftMs: Number.NaN, tpotMs: Number.NaN };
  return {
    title: `${name}: full -> compressed`,
    columns: [
      "tokens",
      "TTFT full ms",
      "TTFT compressed ms",
      "TTFT none ms",
      "compressed / full",
      "linear in tokens",
      "LlavaCode",
      "compressed / none",
      "TPOT full ms",
      "TPOT compressed ms",
      "TPOT ratio",
    ],
    rows: rows.map(({ full, compressed, pseudoTokens, paper = null }): Cell[] => {
      const [f, c, n] = [at(full), at(compressed), at(compressed - pseudoTokens)];
      const than = (other: number, part: keyof Sample) => ratio(keyOf(name, other), keyOf(name, compressed), part);
      return [
        `${full} -> ${compressed}`,
        f.ttftMs,
        c.ttftMs,
        n.ttftMs,
        than(full, "ttftMs"),
        compressed / full,
        paper,
        than(compressed - pseudoTokens, "ttftMs"),
        f.tpotMs,
        c.tpotMs,
        than(full, "tpotMs"),
      ];
    }),
    notes: [...notes, "ratios: medians of the repeats' own"],
  };
}

/** How many times as fast as the lane `peer` the lane `own` is. */
type Ratio = (own: string, peer: string, part: keyof Sample) => number;

function samplesOf(samples: ReadonlyMap<string, readonly Sample[]>, key: string, part: keyof Sample): number[] {
  return (samples.get(key) ?? []).map((sample) => sample[part]);
}

/** Repeat by repeat: both were measured one after the other. */
function ratiosOf(samples: ReadonlyMap<string, readonly Sample[]>): Ratio {
  return (own, peer, part) => {
    const times = samplesOf(samples, own, part);
    return median(samplesOf(samples, peer, part).map((value, repeat) => value / (times[repeat] ?? Number.NaN)));
  };
}

function peersTable(
  title: string,
  ours: readonly string[],
  peers: readonly Peer[],
  prompts: readonly number[],
  found: ReadonlyMap<string, Sample>,
  ratio: Ratio,
  notes: readonly string[],
): Table {
  const names = [...peers.map((peer) => peer.name), ...ours];
  const cells = (name: string, positions: number, part: keyof Sample): Cell[] => {
    const key = keyOf(name, positions);
    const ratios = peers.map((peer) => ratio(key, keyOf(peer.name, positions), part));
    return [found.get(key)?.[part] ?? Number.NaN, Math.min(...ratios)];
  };
  return {
    title,
    columns: [
      "program",
      ...prompts.flatMap((positions) => [`prefill ${positions} ms`, "times as fast"]),
      `token at ${PEER_PAST} ms`,
      "times as fast",
    ],
    rows: names.map((name) => [
      name,
      ...prompts.flatMap((positions) => cells(name, positions, "ttftMs")),
      ...cells(name, PEER_PAST, "tpotMs"),
    ]),
    notes: [...notes],
  };
}

function plotOf(name: string, rows: readonly Row[], found: ReadonlyMap<string, Sample>): object {
  const values = rows.flatMap(({ full, compressed, pseudoTokens }) =>
    [
      { mode: "full", positions: full },
      { mode: "compressed", positions: compressed },
      { mode: "none", positions: compressed - pseudoTokens },
    ].map(({ mode, positions }) => ({
      row: `${full} → ${compressed}`,
      mode,
      ms: found.get(keyOf(name, positions))?.ttftMs,
    })),
  );
  return {
    title: `${name}: time to the first token, cold cache`,
    width: 420,
    height: 240,
    data: { values },
    mark: "bar",
    encoding: {
      x: { field: "row", type: "nominal", title: "tokens, full → compressed", sort: null, axis: { labelAngle: 0 } },
      xOffset: { field: "mode", sort: ["full", "compressed", "none"] },
      y: { field: "ms", type: "quantitative", title: "time to the first token, ms" },
      color: { field: "mode", type: "nominal", sort: ["full", "compressed", "none"], title: "mode" },
    },
  };
}
