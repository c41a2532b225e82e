// How long a pack's reader takes on a provider beside the CPU, and whether it writes the same.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf } from "../errors.ts";
import { openPack, type Pack } from "../pack/pack.ts";
import type { ParityFile } from "./parity.ts";
import { openReader, type Reader } from "./reader.ts";
import { openRuntime } from "./runtime.ts";

export interface Trial {
  readonly provider: string;
  /** Milliseconds of one completion from nothing; undefined when the provider failed or wrote something else. */
  readonly ms?: number;
  /** The CPU's, in the same process. */
  readonly cpuMs: number;
  readonly detail: string;
}

/** Another processor's rounding may break a near tie later on; a wrong graph differs at once. */
const GREEDY_TOKENS = 4;
/** A prompt and a completion of usual sizes. */
const PROMPT_TOKENS = 512;
const NEW_TOKENS = 12;
const NOTHING = new Float32Array(0);

/** A driver may end the process: call this in a process of its own. */
export async function tryProvider(provider: string, packDir: string, threads: number): Promise<Trial> {
  const pack = await openPack(packDir);
  const cpu = await measure("cpu", pack, threads);
  try {
    const own = await measure(provider, pack, threads);
    if (own.written.join() !== cpu.written.join()) {
      const detail = `it writes the tokens ${own.written.join(" ")} where the CPU writes ${cpu.written.join(" ")}`;
      return { provider, cpuMs: cpu.ms, detail };
    }
    const detail = `${(cpu.ms / own.ms).toPrecision(2)} times the CPU's speed with ${pack.manifest.id}`;
    return { provider, ms: own.ms, cpuMs: cpu.ms, detail };
  } catch (error) {
    return { provider, cpuMs: cpu.ms, detail: messageOf(error) };
  }
}

async function measure(name: string, pack: Pack, threads: number): Promise<{ written: readonly number[]; ms: number }> {
  const { greedy }: ParityFile = JSON.parse(await readFile(join(pack.dir, pack.manifest.parity), "utf8"));
  const { runtime } = await openRuntime([name], threads);
  const { reader, problems } = await openReader(pack, runtime);
  const [problem] = problems;
  if (problem !== undefined) throw new Error(problem.detail);
  const { tokens: written } = await read(reader, pack, Int32Array.from(greedy.prompt), GREEDY_TOKENS);
  const { vocabSize, maxTokens } = pack.manifest.reader;
  const length = Math.min(PROMPT_TOKENS, maxTokens - NEW_TOKENS);
  // The first prompt compiles what the second is timed with; they share no prefix.
  const prompt = (first: number) => Int32Array.from({ length }, (_, n) => (first + n * 7919) % vocabSize);
  await read(reader, pack, prompt(1), NEW_TOKENS);
  const { totalMs } = await read(reader, pack, prompt(2), NEW_TOKENS);
  await reader.close();
  return { written, ms: totalMs };
}

function read(reader: Reader, pack: Pack, tokens: Int32Array, maxNewTokens: number) {
  const { vocabSize } = pack.manifest.reader;
  const vocabulary = { lineBreaks: new Uint8Array(vocabSize), isBlank: new Uint8Array(vocabSize) };
  const options = { maxNewTokens, stopTokens: [], maxLines: Number.POSITIVE_INFINITY };
  return reader.generate({ pseudoTokens: NOTHING, tokens }, options, vocabulary, () => false);
}
