// Which providers the sessions of this process try, in order. Each is asked in a process of its own with a time limit, once
// for a runtime and its drivers; what it answered, or that it crashed, is remembered beside the stores.
import { fork } from "node:child_process";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { errnoOf, messageOf, type Problem } from "../errors.ts";
import { driverFingerprint } from "./drivers.ts";
import type { Probe } from "./probe.ts";
import { ACCELERATORS } from "./provider.ts";

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

export interface ProviderChoice {
  /** In order; `cpu` last. */
  readonly providers: readonly string[];
  /** Why a provider that was asked for is not among them. */
  readonly problems: readonly Problem[];
  readonly probes: readonly Probe[];
}

/** A software adapter compiles its shaders on the CPU: seconds, not milliseconds. */
const TIMEOUT_MS = 30_000;

/** `names` in order of preference; `auto` stands for the accelerators that answer rightly. Never rejects for a provider. */
export async function chooseProviders(names: readonly string[], options: ProbeOptions): Promise<ProviderChoice> {
  const providers: string[] = [];
  const problems: Problem[] = [];
  const probes: Probe[] = [];
  for (const name of new Set(names.flatMap((each) => (each === "auto" ? ACCELERATORS : [each])))) {
    // Behind the CPU, which runs everything, nobody would be asked.
    if (name === "cpu") break;
    const probe = await probeApart(name, options);
    probes.push(probe);
    if (probe.runs.length > 0) providers.push(name);
    else if (names.includes(name)) problems.push({ code: "PROVIDER_FELL_BACK", detail: `${name}: ${probe.detail}` });
  }
  return { providers: [...providers, "cpu"], problems, probes };
}

/** The remembered outcome, or that of a process started now. */
export async function probeApart(name: string, options: ProbeOptions): Promise<Probe> {
  const memory = await openMemory(options.cacheDir);
  const remembered = memory.probes[name];
  if (remembered !== undefined && options.isFresh !== true) return remembered;
  const probe = await ask(name, options);
  await remember(options.cacheDir, { ...memory, probes: { ...memory.probes, [name]: probe } });
  return probe;
}

function ask(name: string, { probeUrl, timeoutMs = TIMEOUT_MS }: ProbeOptions): Promise<Probe> {
  const started = performance.now();
  return new Promise((resolve) => {
    const failed = (detail: string) => resolve({ provider: name, runs: [], detail, ms: performance.now() - started });
    // What a driver prints is no message of ours.
    const child = fork(probeUrl, [name], { execArgv: [], stdio: ["ignore", "ignore", "ignore", "ipc"] });
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      failed(`no answer within ${timeoutMs / 1000} s`);
    }, timeoutMs);
    child.on("message", (probe: Probe) => resolve(probe));
    child.on("error", (error) => failed(`it could not be asked: ${messageOf(error)}`));
    child.on("exit", (code, signal) => {
      clearTimeout(timer);
      failed(`it ended the process that asked it (${signal ?? `status ${code}`})`);
    });
  });
}

interface Memory {
  /** Of the runtime and drivers the outcomes hold for. */
  readonly fingerprint: string;
  readonly probes: Readonly<Record<string, Probe>>;
}

const FILE = "providers.json";

/** Empty when there is none, when it cannot be read, or when runtime or drivers have changed since. */
async function openMemory(cacheDir: string | undefined): Promise<Memory> {
  const fingerprint = await driverFingerprint();
  const nothing: Memory = { fingerprint, probes: {} };
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
async function remember(cacheDir: string | undefined, memory: Memory): Promise<void> {
  if (cacheDir === undefined) return;
  const aside = join(cacheDir, `${FILE}.${process.pid}`);
  try {
    await mkdir(cacheDir, { recursive: true });
    await writeFile(aside, JSON.stringify(memory));
    await rename(aside, join(cacheDir, FILE));
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
  }
}
