// The same completions with the reader here and with the reader on a server: how often they agree, and how surely.
import { cp, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Completion } from "../../engine/completion/complete.ts";
import { parseSettings } from "../../engine/config.ts";
import type { Mode } from "../../engine/domain.ts";
import { type Engine, startEngine, type Workspace } from "../../engine/engine.ts";
import type { RemoteReader } from "../../engine/infer/remote/remoteReader.ts";
import type { Tokenizer } from "../../engine/infer/tokenizer.ts";
import type { Installation } from "../../engine/installation.ts";

export interface Readers {
  readonly here: Workspace;
  readonly there: Workspace;
  readonly remote: RemoteReader;
  readonly tokenizer: Tokenizer;
  readonly dir: string;
  close(): Promise<void>;
}

export interface Comparison {
  readonly mode: Mode;
  readonly n: number;
  /** Of `n`, those with the same text, or the same reason for none. */
  readonly same: number;
  /** Mean of the absolute difference of the mean log-probabilities, over the same texts. */
  readonly logProbGap: number;
  /** Medians, of requests that differ in nothing else; nothing is kept between them here. */
  readonly hereMs: number;
  readonly thereMs: number;
}

/** Two engines over copies of the fixture workspace. Throws when the address is none. */
export async function openReaders(installation: Installation, endpoint: string, key?: string): Promise<Readers> {
  const { packsDir, workers } = installation;
  const scratch = await mkdtemp(join(tmpdir(), "precis-readers-"));
  const root = join(scratch, "workspace");
  await cp(fileURLToPath(new URL("../fixtures/workspaces/shop", import.meta.url)), root, { recursive: true });
  const { settings } = parseSettings({ "execution.threads": 1 });
  const open = async (name: string, at: string): Promise<[Engine, Workspace]> => {
    const own = { ...settings, "reader.endpoint": at };
    const engine = await startEngine({ packsDir, workers, settings: own, keeps: false, readerKey: () => key });
    const workspace = await engine.openWorkspace({ root, storeDir: join(scratch, name), settings: own });
    await workspace.index();
    return [engine, workspace];
  };
  const [local, here] = await open("here", "");
  const [served, there] = await open("there", endpoint);
  if (served.remote === undefined) throw new Error("no endpoint");
  return {
    here,
    there,
    remote: served.remote,
    tokenizer: local.tokenizer,
    dir: root,
    close: async () => {
      here.close();
      there.close();
      await Promise.all([local.close(), served.close()]);
      await rm(scratch, { recursive: true, force: true });
    },
  };
}

/** In the middle of lines of the workspace's Python files that say something: of all, or of one in `every`. */
export async function compareReaders(
  { here, there, dir }: Readers,
  modes: readonly Mode[],
  every = 1,
): Promise<Comparison[]> {
  const cursors = (await cursorsIn(dir)).filter((_, n) => n % every === 0);
  const comparisons: Comparison[] = [];
  for (const mode of modes) {
    const pairs: [Completion, Completion][] = [];
    for (const cursor of cursors) {
      const ours = await here.complete(cursor, { mode, maxLines: 1 });
      const theirs = await there.complete(cursor, { mode, maxLines: 1 });
      if (theirs.mode !== mode || theirs.reason?.startsWith("reader-failed"))
        throw new Error(JSON.stringify(theirs.problems));
      pairs.push([ours, theirs]);
    }
    const same = pairs.filter(([a, b]) => a.text === b.text && a.reason === b.reason);
    const gaps = same.map(([a, b]) => Math.abs(certaintyOf(a) - certaintyOf(b))).filter((gap) => !Number.isNaN(gap));
    const median = (side: 0 | 1) =>
      pairs.map((pair) => pair[side].timings.totalMs).sort((a, b) => a - b)[pairs.length >> 1];
    comparisons.push({
      mode,
      n: pairs.length,
      same: same.length,
      logProbGap: gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length,
      hereMs: median(0) ?? 0,
      thereMs: median(1) ?? 0,
    });
  }
  return comparisons;
}

export function report(comparisons: readonly Comparison[]): void {
  for (const { mode, n, same, logProbGap, hereMs, thereMs } of comparisons) {
    const times = `median ${hereMs.toFixed(0)} ms here, ${thereMs.toFixed(0)} ms there`;
    print(`${mode}: ${same} of ${n} the same; log-probabilities differ by ${logProbGap.toFixed(3)}; ${times}`);
  }
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function certaintyOf({ verdict }: Completion): number {
  return verdict?.features?.["meanLogProb"] ?? Number.NaN;
}

async function cursorsIn(dir: string): Promise<{ path: string; text: string; offset: number }[]> {
  const names = await readdir(dir, { recursive: true });
  const cursors = [];
  for (const path of names.filter((name) => name.endsWith(".py")).sort()) {
    const text = await readFile(join(dir, path), "utf8");
    let at = 0;
    for (const line of text.split("\n")) {
      const said = line.trim();
      if (said.length > 12) cursors.push({ path, text, offset: at + line.indexOf(said) + (said.length >> 1) });
      at += line.length + 1;
    }
  }
  return cursors;
}
