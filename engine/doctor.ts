// Is this installation able to work? Every check runs the real part; none stops the others.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Completion } from "./completion/complete.ts";
import type { Settings } from "./config.ts";
import { type Engine, startEngine } from "./engine.ts";
import { EngineError, messageOf } from "./errors.ts";
import { checkParity } from "./infer/parity.ts";
import { loadProvider } from "./infer/provider.ts";
import type { Server } from "./infer/remote/server.ts";
import type { Installation } from "./installation.ts";
import { findPack, verifyPack } from "./pack/pack.ts";

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
  /** What the person can do; absent when ok. */
  readonly fix?: string;
}

export interface DoctorReport {
  readonly ok: boolean;
  readonly checks: readonly Check[];
}

const SAMPLE = "def area(width, height):\n    return width * height\n\n\nclass Box:\n    def volume(self):\n        ";

export async function doctor(
  installation: Installation,
  cacheDir: string,
  settings: Settings,
  readerKey?: (origin: string) => string | undefined,
): Promise<DoctorReport> {
  const checks: Check[] = [];
  const check = async <T>(name: string, work: () => Promise<{ detail: string; value: T }>): Promise<T | undefined> => {
    try {
      const { detail, value } = await work();
      checks.push({ name, ok: true, detail });
      return value;
    } catch (error) {
      const fix = error instanceof EngineError ? error.action : "Report this with the detail above.";
      checks.push({ name, ok: false, detail: messageOf(error), fix });
      return undefined;
    }
  };

  await check("node", async () => {
    if (Number(process.versions.modules) < 127) throw new EngineError("NODE_TOO_OLD", `Node ${process.versions.node}`);
    return { detail: `Node ${process.versions.node}, ${process.platform}-${process.arch}`, value: undefined };
  });
  await check("cache folder", async () => {
    await mkdir(cacheDir, { recursive: true });
    const probe = join(cacheDir, `.probe-${process.pid}`);
    await writeFile(probe, "");
    await rm(probe);
    return { detail: cacheDir, value: undefined };
  });
  await check("pack", async () => {
    const { manifest } = await verifyPack(await findPack(settings.pack, installation.packsDir));
    return { detail: `${manifest.id} ${manifest.version}, every file has its sha256`, value: undefined };
  });
  const engine = await check("models", async () => {
    const before = process.memoryUsage.rss();
    const at = performance.now();
    const { packsDir, workers } = installation;
    const started = await startEngine({
      packsDir,
      settings,
      workers,
      cacheDir,
      ...(readerKey === undefined ? {} : { readerKey }),
    });
    const ms = performance.now() - at;
    const grown = (process.memoryUsage.rss() - before) / 2 ** 20;
    return {
      detail: `${started.remote === undefined ? "four models" : "encoder, fuser and projector"} opened in a worker after ${ms.toFixed(0)} ms; memory grew by ${grown.toFixed(0)} MiB`,
      value: started,
    };
  });
  if (engine?.remote !== undefined) {
    const { remote } = engine;
    await check("reader endpoint", async () => ({ detail: serverText(await remote.survey()), value: undefined }));
    await check("compressed mode", async () => {
      const fault = engine.compressedFault ?? (await remote.embedsFault());
      // The other modes work without, so it is no fault of the installation.
      return { detail: fault ?? `${remote.endpoint.host} takes the pack's embeddings`, value: undefined };
    });
  } else if (engine !== undefined) {
    await check("execution providers", async () => {
      const { probes, trials } = await engine.surveyProviders({ isFresh: true });
      for (const { provider, runs, detail, ms } of probes) {
        const trial = trials.find((each) => each.provider === provider);
        const needs = runs.length > 0 ? undefined : (await loadProvider(provider))?.needs;
        const speed = trial === undefined ? "" : `; ${trial.detail}`;
        const advice = needs === undefined ? "" : `; it needs ${needs}`;
        // A machine without an accelerator is no fault.
        checks.push({ name: provider, ok: true, detail: `${detail}${speed}${advice} (asked in ${ms.toFixed(0)} ms)` });
      }
      return { detail: `the reader runs on ${engine.models.provider}`, value: undefined };
    });
    await check("parity", async () => {
      const { samples, worst } = await checkParity(engine.pack, [engine.models.provider]);
      return {
        detail: `${samples} samples, largest difference ${(100 * worst).toFixed(0)} % of its tolerance`,
        value: undefined,
      };
    });
  }
  if (engine !== undefined) {
    await check("index and completion", async () => ({
      detail: await tryWorkspace(engine, settings),
      value: undefined,
    }));
    await engine.close();
  }
  return { ok: checks.every(({ ok }) => ok), checks };
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
      failIfUnread(engine, completion);
      return `${report.files} files, ${report.chunks} chunks; first token after ${completion.timings.ttftMs.toFixed(0)} ms`;
    } finally {
      workspace.close();
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** A completion of which the reader's server is the reason that there is none. */
function failIfUnread({ remote }: Engine, { reason }: Completion): void {
  if (reason?.startsWith("reader-failed") && remote?.problem !== undefined) throw remote.problem;
}
