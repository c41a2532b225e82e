// Is this installation able to work? Every check runs the real part; none stops the others.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { takeAddOn } from "./addOns.ts";
import { neededBy, shortageOf } from "./choosePack.ts";
import type { Settings } from "./config.ts";
import { checkIndex, checkLatency, checkMiddle } from "./doctorChecks.ts";
import { type Engine, startEngine } from "./engine.ts";
import { EngineError, messageOf } from "./errors.ts";
import { checkAllParity } from "./infer/addOnParity.ts";
import { type FreeMemory, type MemorySource, SYSTEM_MEMORY, sizeText } from "./infer/freeMemory.ts";
import type { Probe } from "./infer/probe.ts";
import { loadProvider } from "./infer/provider.ts";
import type { Server } from "./infer/remote/server.ts";
import type { Installation } from "./installation.ts";
import { findPack, openPack, verifyPack } from "./pack/pack.ts";
import type { DoctorCheck, DoctorReport } from "./protocol.ts";
import { storesIn } from "./staleStores.ts";

export interface DoctorOptions {
  readonly installation: Installation;
  /** Where stores lie, and what is remembered of providers. */
  readonly cacheDir: string;
  readonly settings: Settings;
  readonly readerKey?: ((origin: string) => string | undefined) | undefined;
  /** Looked at as it runs; one of the doctor's own is started and closed where none is given. */
  readonly running?: Engine | undefined;
  readonly memory?: MemorySource;
  /** Told before each check, in words. */
  readonly onCheck?: (name: string) => void;
}

interface Found<T> {
  readonly detail: string;
  readonly value: T;
  readonly fix?: string | undefined;
}

export async function doctor(options: DoctorOptions): Promise<DoctorReport> {
  const { installation, cacheDir, settings, running, memory = SYSTEM_MEMORY, onCheck = () => {} } = options;
  const checks: DoctorCheck[] = [];
  const check = async <T>(name: string, work: () => Promise<Found<T>>): Promise<T | undefined> => {
    onCheck(name);
    try {
      const { detail, value, fix } = await work();
      checks.push({ name, ok: true, detail, ...(fix === undefined ? {} : { fix }) });
      return value;
    } catch (error) {
      const fix = error instanceof EngineError ? error.action : "Report this with the detail above.";
      checks.push({ name, ok: false, detail: messageOf(error), fix });
      return undefined;
    }
  };
  const say = (detail: string): Found<undefined> => ({ detail, value: undefined });
  const packDir = () => findPack(settings.pack, installation.packsDir, installation.preparedDirs);

  await check("node", async () => {
    if (Number(process.versions.modules) < 127) throw new EngineError("NODE_TOO_OLD", `Node ${process.versions.node}`);
    return say(`Node ${process.versions.node}, ${process.platform}-${process.arch}`);
  });
  await check("cache folder", async () => {
    await tryFolder(cacheDir);
    return say(cacheDir);
  });
  await check("pack", async () => {
    const { dir, manifest } = await verifyPack(await packDir());
    return say(`${manifest.id} ${manifest.version} in ${dir}: every file has its sha256`);
  });
  const cards =
    (await check("graphics cards", async () => {
      const value = await memory.cards();
      return { detail: value.map(cardText).join("; ") || "none that tells its memory", value };
    })) ?? [];
  const engine = running ?? (await check("models", () => open(options)));
  if (running !== undefined) await check("models", async () => say(`${running.pack.manifest.title} is running`));
  await check("memory", async () => {
    const isOutside = engine !== undefined && (engine.remote !== undefined || engine.models.provider !== "cpu");
    const machine = memory.machine();
    // What the engine holds already is no longer free.
    const free = Math.min(machine.total, machine.free + process.memoryUsage.rss());
    const { pack: wanted } = await takeAddOn(await openPack(await packDir()), installation.preparedDirs);
    const short = shortageOf(wanted, { ...machine, free }, isOutside);
    if (short !== undefined) throw new EngineError("MEMORY_SHORT", short);
    const needed = sizeText(neededBy(wanted, isOutside));
    return say(`${machine.name} has ${sizeText(free)} of ${sizeText(machine.total)} for it, it takes about ${needed}`);
  });
  if (engine?.remote !== undefined) {
    const { remote } = engine;
    await check("reader endpoint", async () => say(serverText(await remote.survey())));
    await check("compressed mode", async () => {
      const fault = engine.compressedFault ?? (await remote.embedsFault());
      // The other modes work without, so it is no fault of the installation.
      return say(fault ?? `${remote.endpoint.host} takes the pack's embeddings`);
    });
  } else if (engine !== undefined) {
    await check("execution providers", async () => {
      const { probes, trials } = await engine.surveyProviders({ isFresh: true });
      for (const { provider, runs, detail, ms } of probes) {
        const trial = trials.find((each) => each.provider === provider);
        const needs = runs.length > 0 ? undefined : (await loadProvider(provider))?.needs;
        const speed = trial === undefined ? "" : `; ${trial.detail}`;
        const advice = needs === undefined ? "" : `; it needs ${needs}`;
        const found = `${runs.length > 0 ? "" : "not used: "}${detail}${speed}${advice} (asked in ${ms.toFixed(0)} ms)`;
        // A machine without an accelerator is no fault.
        checks.push({ name: provider, ok: true, detail: found });
      }
      const fix = idleCardFix(cards, probes);
      return { detail: `the reader runs on ${engine.models.provider}`, value: undefined, fix };
    });
    await check("parity", async () => {
      const { samples, worst } = await checkAllParity(engine.pack, [engine.models.provider]);
      return say(`${samples} samples, largest difference ${(100 * worst).toFixed(0)} % of its tolerance`);
    });
  }
  if (engine !== undefined && engine.remote === undefined) {
    const { pack, compressedFault } = engine;
    const source = pack.addOn === undefined ? "the pack itself" : pack.addOn.dir;
    // The other modes work without, so it is no fault of the installation.
    await check("compressed mode", async () => say(compressedFault ?? `projector of ${source}`));
  }
  if (engine !== undefined) {
    await check("fill in the middle", async () => say(await checkMiddle(engine)));
    await check("latency", async () => say(await checkLatency(engine, settings["completion.deadlineMs"])));
    await check("index and completion", async () => say(await tryWorkspace(engine, settings)));
    if (running === undefined) await engine.close();
  }
  await check("indexes", async () => say(checkIndex(await storesIn(cacheDir))));
  return { ok: checks.every(({ ok }) => ok), checks };
}

async function open(options: DoctorOptions): Promise<Found<Engine>> {
  const { installation, cacheDir, settings, readerKey, memory } = options;
  const { packsDir, preparedDirs, workers } = installation;
  const before = process.memoryUsage.rss();
  const at = performance.now();
  const value = await startEngine({
    ...{ packsDir, preparedDirs, settings, workers, cacheDir },
    ...(readerKey === undefined ? {} : { readerKey }),
    ...(memory === undefined ? {} : { memory }),
  });
  const ms = performance.now() - at;
  const grown = (process.memoryUsage.rss() - before) / 2 ** 20;
  const opened = value.remote === undefined ? "four models" : "encoder, fuser and projector";
  const told = value.problems.map(({ detail }) => `; ${detail}`).join("");
  const detail = `${opened} opened in a worker after ${ms.toFixed(0)} ms; memory grew by ${grown.toFixed(0)} MiB${told}`;
  return { detail, value };
}

/** Files can be made there. Throws `STORE_UNWRITABLE`. */
async function tryFolder(dir: string): Promise<void> {
  try {
    await mkdir(dir, { recursive: true });
    const probe = join(dir, `.probe-${process.pid}`);
    await writeFile(probe, "");
    await rm(probe);
  } catch (error) {
    throw new EngineError("STORE_UNWRITABLE", messageOf(error), { cause: error });
  }
}

function cardText({ name, free, total, driver }: FreeMemory): string {
  return `${name}: ${sizeText(free)} of ${sizeText(total)} free${driver === undefined ? "" : `, driver ${driver}`}`;
}

/** What to do where there is a card and nothing of ours can use it. */
function idleCardFix(cards: readonly FreeMemory[], probes: readonly Probe[]): string | undefined {
  const [card] = cards;
  if (card === undefined || probes.some(({ runs }) => runs.length > 0)) return undefined;
  const loader = process.platform === "linux" ? " and the Vulkan loader (package libvulkan1 or vulkan-loader)" : "";
  return `${card.name} is not used: install its current driver${loader}, then run this again.`;
}

const SERVER_NAMES = { vllm: "vLLM", "llama.cpp": "llama.cpp", openai: "an OpenAI-compatible server" } as const;
const PROMPTS = {
  same: "it has the pack's tokenizer and is sent token ids",
  other: "it has another tokenizer than the pack and is sent text",
  unknown: "it does not tell its tokenizer and is sent text",
} as const;

function serverText({ dialect, model, models, tokenizer, latencyMs }: Server): string {
  const others = models.length === 1 ? "" : ` of ${models.length}`;
  return `${SERVER_NAMES[dialect]} answered in ${latencyMs.toFixed(0)} ms and lists ${model}${others}; ${PROMPTS[tokenizer]}`;
}

const SAMPLE = "def area(width, height):\n    return width * height\n\n\nclass Box:\n    def volume(self):\n        ";

/** A workspace of two files in a temporary folder: parser, store, vectors, text search and reader in one pass. */
async function tryWorkspace(engine: Engine, settings: Settings): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "precis-doctor-"));
  try {
    const root = join(dir, "workspace");
    await mkdir(root);
    await writeFile(join(root, "shapes.py"), SAMPLE);
    await writeFile(join(root, "main.py"), "from shapes import Box\n");
    const workspace = await engine.openWorkspace({ root, storeDir: join(dir, "store"), settings });
    try {
      const report = await workspace.index();
      const cursor = { path: "main.py", text: SAMPLE, offset: SAMPLE.length };
      const completion = await workspace.complete(cursor, { mode: "full", maxLines: 1 });
      if (completion.reason?.startsWith("reader-failed") && engine.remote?.problem !== undefined)
        throw engine.remote.problem;
      return `${report.files} files, ${report.chunks} chunks; first token after ${completion.timings.ttftMs.toFixed(0)} ms`;
    } finally {
      workspace.close();
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
