// What the doctor asks of an open reader and of the indexes on the disk. Each answers what it found, for a person, or throws.
import type { Completion } from "./completion/complete.ts";
import type { Engine } from "./engine.ts";
import { EngineError } from "./errors.ts";
import { sizeText } from "./infer/freeMemory.ts";
import { inspectStore } from "./store/store.ts";

const BEFORE = "class Box:\n    def __init__(self, width, height):\n        self.width = width\n        self.height = ";
const BEHIND = "\n\n    def area(self):\n        return self.width * self.height\n";
const SPECIAL = /<\|\w+\|>/g;

/** A prompt around a hole there and back: every special token is one id, text survives the tokenizer, the reader writes. */
export async function checkMiddle(engine: Engine): Promise<string> {
  const { manifest } = engine.pack;
  const { psm, spm = "", retrieved, repository, stopTokens } = manifest.prompt;
  const templates = [psm, spm, retrieved, repository?.head ?? "", repository?.file ?? ""];
  const specials = new Set([...stopTokens, ...templates.flatMap((template) => template.match(SPECIAL) ?? [])]);
  for (const token of specials) {
    const ids = engine.tokenizer.encode(token, true);
    if (ids.length !== 1)
      throw new EngineError("PACK_INCOMPATIBLE", `${token} is ${ids.length} tokens to the pack's tokenizer`);
  }
  const text = BEFORE + BEHIND;
  const back = engine.tokenizer.decode([...engine.tokenizer.encode(text)]);
  if (back !== text)
    throw new EngineError("PACK_INCOMPATIBLE", `the tokenizer makes ${JSON.stringify(back)} of a text`);
  const completion = await ask(engine, BEFORE, BEHIND);
  const written = completion.text === "" ? `nothing (${completion.reason})` : JSON.stringify(completion.text);
  return `${completion.promptTokens} tokens in, ${written} out; ${specials.size} special tokens are one id each`;
}

/** Lines of a function that no other prompt here has. */
function lines(name: string, count: number): string {
  const body = Array.from({ length: count }, (_, n) => `    ${name}_${n} = measure(${n}, unit="${name}")\n`);
  return `def ${name}(measure):\n${body.join("")}    return `;
}

/** Long enough to fill any prompt. */
const LINES = 600;

/** A full prompt from nothing, and the same after a keystroke. Throws `READER_SLOW` where the first takes longer than `deadlineMs`. */
export async function checkLatency(engine: Engine, deadlineMs: number): Promise<string> {
  // The first run of a graph is slower than all others.
  await ask(engine, lines("warm", LINES), BEHIND);
  const prefix = lines("cold", LINES);
  const cold = await ask(engine, prefix, BEHIND);
  const typed = await ask(engine, `${prefix}c`, BEHIND);
  const [first, again] = [cold, typed].map(({ timings }) => timings.ttftMs.toFixed(0));
  const found = `first token of a prompt of ${cold.promptTokens} tokens after ${first} ms, after one more keystroke ${again} ms`;
  if (cold.timings.totalMs <= deadlineMs) return found;
  const took = cold.timings.totalMs.toFixed(0);
  throw new EngineError("READER_SLOW", `${found}; the completion took ${took} ms, given up after ${deadlineMs} ms`);
}

/** Throws what the reader's server failed with. */
async function ask(engine: Engine, prefix: string, suffix: string): Promise<Completion> {
  const cursor = { path: "box.py", text: prefix + suffix, offset: prefix.length };
  const completion = await engine.complete(cursor, { mode: "none", maxLines: 1 });
  if (!completion.reason?.startsWith("reader-failed")) return completion;
  throw engine.remote?.problem ?? new EngineError("WORKER_FAILED", completion.reason);
}

/** Throws `STORE_CORRUPT` naming each folder with a damaged index. */
export function checkIndex(dirs: readonly string[]): string {
  const faults: string[] = [];
  let count = 0;
  let bytes = 0;
  for (const dir of dirs) {
    const found = inspectStore(dir);
    if (found === undefined) continue;
    count += 1;
    bytes += found.bytes;
    if (found.faults.length > 0) faults.push(`${dir}: ${found.faults.slice(0, 3).join("; ")}`);
  }
  if (faults.length > 0) throw new EngineError("STORE_CORRUPT", faults.join("\n"));
  if (count === 0) return "no workspace has been indexed yet";
  return `${count} looked through and sound, ${sizeText(bytes)} in all`;
}
