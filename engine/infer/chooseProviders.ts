// Which providers the sessions of this process try, in order. Each is asked in a process of its own with a time limit, once
// for a runtime and its drivers; what it answered, or that it crashed, is remembered beside the stores.
import { fork } from "node:child_process";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf, messageOf, type Problem } from "../errors.ts";
import type { Pack } from "../pack/pack.ts";
import { packMemory } from "../pack/sizes.ts";
import { driverFingerprint } from "./drivers.ts";
import { type MemorySource, SYSTEM_MEMORY, sizeText } from "./freeMemory.ts";
import type { GraphKind, Probe } from "./probe.ts";
import { ACCELERATORS } from "./provider.ts";
import type { Trial } from "./trial.ts";

export interface ProbeOptions {
  /** The bundle's `probeProcess.js`, or the source file. */
  readonly probeUrl: URL;
  /** Where outcomes are remembered; without one every start asks anew. */
  readonly cacheDir?: string | undefined;
  /** Asks even where an outcome is remembered. */
  readonly isFresh?: boolean;
  /** Milliseconds a provider has to answer. */
  readonly timeoutMs?: number;
}

export interface PackOptions extends ProbeOptions {
  readonly pack: Pack;
  /** As the reader will run; 0 leaves one core free. */
  readonly threads: number;
  readonly memory?: MemorySource;
}

export interface ProviderChoice {
  /** In order; `cpu` last. */
  readonly providers: readonly string[];
  /** Why a provider that was asked for is not among them. */
  readonly problems: readonly Problem[];
  /** Call it when the sessions are open: until then a crash is laid at the first provider's door. */
  opened(): Promise<void>;
}

export interface ProviderSurvey {
  readonly probes: readonly Probe[];
  /** Of those that answered rightly. */
  readonly trials: readonly Trial[];
}

/** A software adapter compiles its shaders on the CPU: seconds, not milliseconds. */
const PROBE_MS = 60_000;
const TRIAL_MS = 60_000;
/** What a provider must save of the CPU's time: below that the way to the device is not worth its memory. */
const WORTH = 0.8;

/**
 * `names` in order of preference; `auto` stands for the winner of the last survey with this pack, if one beat the CPU.
 * Never rejects for a provider.
 */
export async function chooseProviders(names: readonly string[], options: PackOptions): Promise<ProviderChoice> {
  const { trials, opening } = await openMemory(options.cacheDir);
  if (opening !== undefined && !isAlive(opening.pid)) await rememberCrash(options.cacheDir, opening.provider);
  const winners = (trials[keyOf(options.pack)] ?? [])
    .filter(({ ms, cpuMs }) => ms !== undefined && ms <= WORTH * cpuMs)
    .sort((a, b) => (a.ms ?? 0) - (b.ms ?? 0))
    .map(({ provider }) => provider);
  const providers: string[] = [];
  const problems: Problem[] = [];
  for (const name of new Set(names.flatMap((each) => (each === "auto" ? winners : [each])))) {
    // Behind the CPU, which runs everything, nobody would be asked.
    if (name === "cpu") break;
    const { runs, detail } = await probeApart(name, options);
    const fault = runs.length === 0 ? detail : (kindFaultOf(options.pack, runs) ?? (await cardShortageOf(options)));
    if (fault === undefined) providers.push(name);
    else problems.push({ code: "PROVIDER_FELL_BACK", detail: `${name}: ${fault}` });
  }
  const [first] = providers;
  if (first !== undefined) await remember(options.cacheDir, { opening: { provider: first, pid: process.pid } });
  return {
    providers: [...providers, "cpu"],
    problems,
    opened: async () => {
      if (first !== undefined) await remember(options.cacheDir, { opening: undefined });
    },
  };
}

/** Asks every accelerator, and lets those that answer rightly read with the pack beside the CPU. */
export async function surveyProviders(options: PackOptions): Promise<ProviderSurvey> {
  const key = keyOf(options.pack);
  const remembered = (await openMemory(options.cacheDir)).trials[key];
  const probes: Probe[] = [];
  for (const name of ACCELERATORS) probes.push(await probeApart(name, options));
  if (remembered !== undefined && options.isFresh !== true) return { probes, trials: remembered };
  const trials: Trial[] = [];
  for (const { provider, runs } of probes) {
    if (runs.length === 0) continue;
    const failed = (detail: string): Trial => ({ provider, cpuMs: 0, detail });
    const args = [provider, options.pack.dir, String(options.threads)];
    trials.push(await ask<Trial>(args, { timeoutMs: TRIAL_MS, ...options }, failed));
  }
  const memory = await openMemory(options.cacheDir);
  await remember(options.cacheDir, { trials: { ...memory.trials, [key]: trials } });
  return { probes, trials };
}

/** Why a provider that runs something does not run this pack's kind of weights; undefined where it does, or none is told. */
function kindFaultOf({ manifest }: Pack, runs: readonly GraphKind[]): string | undefined {
  const [, bits] = /^(?:int8-)?q([48])$/.exec(manifest.quantisation) ?? [];
  const isRun = (kind: GraphKind) => kind.precision === "float32" && kind.bits === Number(bits);
  if (bits === undefined || runs.some(isRun)) return undefined;
  return `it does not run ${bits}-bit weights in float32, which this pack's are`;
}

/** Why no card has room for the reader; undefined where one has, and where none tells. */
async function cardShortageOf({ pack, memory = SYSTEM_MEMORY }: PackOptions): Promise<string | undefined> {
  const { readerOnCard: needed } = packMemory(pack.manifest);
  const [roomiest] = (await memory.cards()).toSorted((a, b) => b.free - a.free);
  if (roomiest === undefined || roomiest.free >= needed) return undefined;
  const { name, free, total } = roomiest;
  return `the reader takes about ${sizeText(needed)}, and ${name} has ${sizeText(free)} of ${sizeText(total)} free`;
}

function keyOf({ manifest }: Pack): string {
  return `${manifest.id}@${manifest.version} ${manifest.files[manifest.reader.file]?.sha256.slice(0, 16) ?? ""}`;
}

/** The remembered outcome, or that of a process started now. */
export async function probeApart(name: string, options: ProbeOptions): Promise<Probe> {
  const memory = await openMemory(options.cacheDir);
  const remembered = memory.probes[name];
  if (remembered !== undefined && options.isFresh !== true) return remembered;
  const started = performance.now();
  const failed = (detail: string): Probe => ({ provider: name, runs: [], detail, ms: performance.now() - started });
  const probe = await ask<Probe>([name], { timeoutMs: PROBE_MS, ...options }, failed);
  await remember(options.cacheDir, { probes: { ...memory.probes, [name]: probe } });
  return probe;
}

/** The one message of a process with these arguments, or what `failed` makes of its silence. */
function ask<T>(
  args: readonly string[],
  { probeUrl, timeoutMs = PROBE_MS }: ProbeOptions,
  failed: (detail: string) => T,
): Promise<T> {
  return new Promise((resolve) => {
    // What a driver prints is no message of ours.
    const child = fork(probeUrl, args, { execArgv: [], stdio: ["ignore", "ignore", "ignore", "ipc"] });
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      resolve(failed(`no answer within ${timeoutMs / 1000} s`));
    }, timeoutMs);
    child.on("message", (answer: T) => resolve(answer));
    child.on("error", (error) => resolve(failed(`it could not be asked: ${messageOf(error)}`)));
    child.on("exit", (code, signal) => {
      clearTimeout(timer);
      resolve(failed(`it ended the process that asked it (${signal ?? `status ${code}`})`));
    });
  });
}

interface Memory {
  /** Of the runtime and drivers the outcomes hold for. */
  readonly fingerprint: string;
  readonly probes: Readonly<Record<string, Probe>>;
  /** By pack. */
  readonly trials: Readonly<Record<string, readonly Trial[]>>;
  /** A process that opens its sessions now; one that has ended took its provider with it. */
  readonly opening?: { readonly provider: string; readonly pid: number } | undefined;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return errnoOf(error) === "EPERM";
  }
}

async function rememberCrash(cacheDir: string | undefined, provider: string): Promise<void> {
  const { probes } = await openMemory(cacheDir);
  const probe: Probe = { provider, runs: [], detail: "the engine ended while it opened the pack with it", ms: 0 };
  await remember(cacheDir, { probes: { ...probes, [provider]: probe }, opening: undefined });
}

const FILE = "providers.json";

/** Empty when there is none, when it cannot be read, or when runtime or drivers have changed since. */
async function openMemory(cacheDir: string | undefined): Promise<Memory> {
  const fingerprint = await driverFingerprint();
  const nothing: Memory = { fingerprint, probes: {}, trials: {} };
  if (cacheDir === undefined) return nothing;
  try {
    const memory: Memory = JSON.parse(await readFile(join(cacheDir, FILE), "utf8"));
    return memory.fingerprint === fingerprint ? memory : nothing;
  } catch (error) {
    if (error instanceof SyntaxError || errnoOf(error) !== undefined) return nothing;
    throw error;
  }
}

/** Written aside and renamed, as another window may read it now. A folder that cannot be written forgets. */
async function remember(cacheDir: string | undefined, change: Partial<Memory>): Promise<void> {
  if (cacheDir === undefined) return;
  const memory = { ...(await openMemory(cacheDir)), ...change };
  const aside = join(cacheDir, `${FILE}.${process.pid}`);
  try {
    await mkdir(cacheDir, { recursive: true });
    await writeFile(aside, JSON.stringify(memory));
    await rename(aside, join(cacheDir, FILE));
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
  }
}
