// Process entry: one reader from nothing, under one set of the runtime's options; answers its parent with times and memory.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { SessionTuning } from "../engine/infer/provider.ts";
import { openReader, type ReaderFiles } from "../engine/infer/reader.ts";
import { type ResidentMemory, residentMemory } from "./residentMemory.ts";

export interface StartupRequest {
  readonly files: ReaderFiles;
  readonly threads: number;
  readonly tuning: SessionTuning;
  /** Of the first prompt. */
  readonly tokens: number;
}

export interface StartupSample {
  /** From the process's start until this file runs: Node and the runtime's library. */
  readonly importMs: number;
  /** Until the sessions are open. */
  readonly loadMs: number;
  /** From the first request to its first token. */
  readonly firstMs: number;
  /** The same again, with another prompt of that length. */
  readonly secondMs: number;
  readonly empty: ResidentMemory;
  readonly loaded: ResidentMemory;
  readonly used: ResidentMemory;
}

const { files, threads, tuning, tokens }: StartupRequest = JSON.parse(process.argv[2] ?? "{}");
const importMs = performance.now();
// Whether the file is in the page cache is the machine's business; here it always is.
await readFile(join(files.dir, files.manifest.reader.file));
const empty = await residentMemory();
const started = performance.now();
const provider = { name: "cpu", needs: "", native: undefined, outputs: "host", sessionOptions: tuning } as const;
const { reader } = await openReader(files, { providers: [provider], threads });
const loadMs = performance.now() - started;
const loaded = await residentMemory();
const firstMs = await firstToken(1);
const secondMs = await firstToken(2);
const sample: StartupSample = { importMs, loadMs, firstMs, secondMs, empty, loaded, used: await residentMemory() };
process.send?.(sample, () => process.disconnect());

async function firstToken(first: number): Promise<number> {
  const { vocabSize } = files.manifest.reader;
  const input = {
    pseudoTokens: new Float32Array(0),
    tokens: Int32Array.from({ length: tokens }, (_, n) => (first + n * 7919) % vocabSize),
  };
  const vocabulary = { lineBreaks: new Uint8Array(vocabSize), isBlank: new Uint8Array(vocabSize) };
  const options = { maxNewTokens: 1, stopTokens: [], maxLines: Number.POSITIVE_INFINITY };
  return (await reader.generate(input, options, vocabulary, () => false)).ttftMs;
}
