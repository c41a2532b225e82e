// Texts a completion may copy from: the file around the cursor, further than the reader reads, and the best retrieved chunks.
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

export function copySources(
  { text, offset }: Cursor,
  candidates: readonly Candidate[],
  tokenizer: Tokenizer,
): Omit<Copying, "weights"> {
  const encode = (part: string) => Int32Array.from(part.split(LINE_STARTS).flatMap((line) => tokenizer.encode(line)));
  const chunks = candidates.filter(({ node }) => node.level === "chunk").slice(0, CHUNKS);
  return {
    before: encode(fromLineStart(withoutIndentation(text.slice(0, offset)))),
    others: [encode(text.slice(offset, offset + AFTER)), ...chunks.map(({ node }) => encode(evidenceOf(node.text)))],
  };
}

function fromLineStart(before: string): string {
  if (before.length <= BEFORE) return before;
  const kept = before.slice(-BEFORE);
  return kept.slice(kept.indexOf("\n") + 1);
}
