// Texts a completion may copy from: the file around the cursor, further than the reader reads, and the best retrieved chunks.
import { setImmediate } from "node:timers/promises";
import type { Candidate } from "../domain.ts";
import type { Copying } from "../infer/copying.ts";
import type { Tokenizer } from "../infer/tokenizer.ts";
import { type Cursor, withoutIndentation } from "./prompt.ts";

/**
 * UTF-16 code units, most files' all. On held-out code 20,000 behind the cursor gave a fifth more exact matches than 4,000. A
 * file's first request tokenises them, 2 ms for a thousand; the next ones only what changed.
 */
const BEFORE = 20_000;
const AFTER = 20_000;
/** Chunks. Sixteen and more gave nothing. */
const CHUNKS = 8;
/** UTF-16 code units tokenised before the thread, which answers the editor, sees to what else has come: some 8 ms. */
export const PIECE = 4000;

/** Where a line begins that holds anything: no token crosses it, so that what is tokenised line by line is the whole's tokens. */
const LINE_STARTS = /(?<=\n)(?=[^\n]*\S)/;

/**
 * A line that cannot end so was left unfinished, or goes on in the next chunk: `scan =`, `self.`, `f(a,`. `...` can.
 * `training/copying.py` has the same.
 */
const UNFINISHED = /(?:[=,([{+\-*/%&|^<~@!\\]|(?<!\.\.)\.|(?<!\w)(?:and|or|not|in|is|as|import|from|lambda|await))$/;

/** What of a chunk is evidence: its last line's end too, since a file goes on in another line, but not of an unfinished one. */
export function evidenceOf(chunk: string): string {
  const text = chunk.trimEnd();
  return UNFINISHED.test(text) ? text : `${text}\n`;
}

/** Rejects with the signal's reason when aborted. */
export async function copySources(
  { text, offset }: Cursor,
  candidates: readonly Candidate[],
  tokenizer: Tokenizer,
  signal?: AbortSignal,
): Promise<Omit<Copying, "weights">> {
  let since = 0;
  const encode = async (part: string): Promise<Int32Array> => {
    const ids: (readonly number[])[] = [];
    for (const line of part.split(LINE_STARTS)) {
      // A line is tokenised whole, however long: cut elsewhere it would give other tokens.
      if (since > 0 && since + line.length > PIECE) {
        since = 0;
        await setImmediate();
        signal?.throwIfAborted();
      }
      since += line.length;
      ids.push(tokenizer.encode(line));
    }
    return Int32Array.from(ids.flat());
  };
  const chunks = candidates.filter(({ node }) => node.level === "chunk").slice(0, CHUNKS);
  const before = await encode(fromLineStart(withoutIndentation(text.slice(0, offset))));
  const others: Int32Array[] = [];
  for (const part of [text.slice(offset, offset + AFTER), ...chunks.map(({ node }) => evidenceOf(node.text))])
    others.push(await encode(part));
  return { before, others };
}

function fromLineStart(before: string): string {
  if (before.length <= BEFORE) return before;
  const kept = before.slice(-BEFORE);
  return kept.slice(kept.indexOf("\n") + 1);
}
