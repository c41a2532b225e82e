// The first thing `npm start` shows, on a machine with or without a screen: one completion in each mode, with timings.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { CACHE, capture, isReadable, ROOT } from "./run.ts";

/** Where the completions are asked for, 1-based as editors count. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

interface CompletionJson {
  readonly text: string;
  readonly reason?: string;
  readonly promptTokens: number;
  readonly contextTokens: number;
  readonly pseudoTokens: number;
  readonly candidates: readonly { readonly path: string; readonly start: number }[];
  readonly timings: {
    readonly retrieveMs: number;
    readonly prefillMs: number;
    readonly ttftMs: number;
    readonly totalMs: number;
  };
}

const MODES = [
  ["none", "off: the current file only"],
  ["full", "full RAG: retrieved code in the prompt"],
  ["compressed", "compressed: retrieved code as pseudo-tokens"],
] as const;

const SKIPPED_FOLDERS = new Set(["node_modules", "venv", "env", "build", "dist", "site-packages", "__pycache__"]);
const MAX_FILES_LOOKED_AT = 2000;
const MAX_BYTES_LOOKED_AT = 1_000_000;

export async function printCompletions(workspace: string, place: Place): Promise<void> {
  const store = ["--store", join(CACHE, "stores")];
  const cli = join(ROOT, "dist/cli.js");
  console.log(`Indexing ${workspace}`);
  const index = JSON.parse(await capture(process.execPath, [cli, "index", workspace, ...store, "--json"])) as {
    files: number;
    chunks: number;
    nodes: number;
    seconds: number;
  };
  console.log(`${index.files} files, ${index.chunks} chunks, ${index.nodes} nodes in ${index.seconds.toFixed(1)} s`);
  console.log(`\nAt ${relative(workspace, place.file)}:${place.line}:${place.column}\n`);
  const lines = readFileSync(place.file, "utf8").split(/\r?\n/);
  for (const line of lines.slice(Math.max(0, place.line - 4), place.line - 1)) console.log(`    ${line}`);
  console.log(`    ${(lines[place.line - 1] ?? "").slice(0, place.column - 1)}▏`);
  for (const [mode, title] of MODES) {
    const position = `${place.file}:${place.line}:${place.column}`;
    const out = await capture(process.execPath, [
      ...[cli, "complete", position, "--workspace", workspace, "--mode", mode, ...store, "--json"],
    ]);
    print(title, JSON.parse(out) as CompletionJson);
  }
}

function print(title: string, completion: CompletionJson): void {
  const { timings } = completion;
  const ms = (value: number) => `${value.toFixed(0)} ms`;
  console.log(`\n  ${title}`);
  console.log(`    ${completion.reason === undefined ? completion.text : `(nothing: ${completion.reason})`}`);
  const sizes = `${completion.promptTokens} prompt + ${completion.contextTokens} context + ${completion.pseudoTokens} pseudo tokens`;
  console.log(
    `    ${ms(timings.totalMs)}, first token after ${ms(timings.ttftMs)}, of it retrieval ${ms(timings.retrieveMs)}; ${sizes}`,
  );
  const sources = [...new Set(completion.candidates.map((candidate) => candidate.path))].slice(0, 5);
  if (sources.length > 0) console.log(`    from ${sources.join(", ")}`);
}

/** The sample's own unfinished line. */
export function placeInSample(sample: string): Place {
  const file = join(sample, "parcels/returns.py");
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  return { file, line: lines.length, column: (lines.at(-1) ?? "").length + 1 };
}

/**
 * A place in somebody's own folder: inside the first function that has at least three lines, in the middle of a statement
 * that calls something, just before its arguments. Undefined when there is no Python to complete.
 */
export function placeInFolder(folder: string): Place | undefined {
  let looked = 0;
  for (const file of pythonFiles(resolve(folder))) {
    looked += 1;
    if (looked > MAX_FILES_LOOKED_AT) break;
    if (!isReadable(file) || statSync(file).size > MAX_BYTES_LOOKED_AT) continue;
    const lines = readFileSync(file, "utf8").split(/\r?\n/);
    const start = lines.findIndex((line) => /^\s*(async )?def \w+\(/.test(line));
    if (start < 0) continue;
    const line = lines.findIndex(
      (text, at) => at >= start + 3 && /^\s+\S.*\w\(\w/.test(text) && !/^\s*(def|class|#|@|"""|''')/.test(text),
    );
    const text = lines[line];
    if (text !== undefined) return { file, line: line + 1, column: text.indexOf("(") + 2 };
  }
  return undefined;
}

function* pythonFiles(folder: string): Generator<string> {
  if (!isReadable(folder)) return;
  const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => a.name.localeCompare(b.name));
  for (const entry of entries) if (entry.isFile() && entry.name.endsWith(".py")) yield join(folder, entry.name);
  for (const entry of entries) {
    if (entry.isDirectory() && !entry.name.startsWith(".") && !SKIPPED_FOLDERS.has(entry.name)) {
      yield* pythonFiles(join(folder, entry.name));
    }
  }
}
