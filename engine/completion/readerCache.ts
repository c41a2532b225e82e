// What the reader wrote, kept by what it read: the same input, or one that typing on from it leads to, is not read twice.

import type { Prompt } from "../domain.ts";
import type { Generation } from "../infer/models.ts";
import type { Assembled } from "./assemble.ts";

/** Tabby's and Copilot's. */
const CAPACITY = 100;

export interface Written {
  readonly text: string;
  readonly generation: Generation;
}

interface Kept {
  readonly key: string;
  readonly prefix: string;
  readonly maxLines: number;
  readonly written: Written;
}

export class ReaderCache {
  #entries: Kept[] = [];

  /** Only whole generations: a cancelled one says nothing of what would have come. */
  add(prompt: Prompt, assembled: Assembled, maxLines: number, written: Written): void {
    if (written.generation.end === "cancelled") return;
    this.#entries.unshift({ key: keyOf(prompt, assembled), prefix: prompt.prefix, maxLines, written });
    this.#entries.length = Math.min(this.#entries.length, CAPACITY);
  }

  /** What is left of a text whose beginning has been typed since. */
  find(prompt: Prompt, assembled: Assembled, maxLines: number): Written | undefined {
    const key = keyOf(prompt, assembled);
    for (const kept of this.#entries) {
      if (kept.key !== key || kept.maxLines !== maxLines || !prompt.prefix.startsWith(kept.prefix)) continue;
      const { text, generation } = kept.written;
      const typed = prompt.prefix.slice(kept.prefix.length);
      if (text.startsWith(typed) && (typed === "" || text.slice(typed.length).trim() !== ""))
        return { text: text.slice(typed.length), generation };
    }
    return undefined;
  }

  clear(): void {
    this.#entries = [];
  }
}

/** All that the reader's input is made of but the prefix: path, suffix, retrieved text and names, pseudo-tokens, and what may be copied. */
function keyOf({ path, suffix }: Prompt, { input, contextTokens, nameTokens, copying }: Assembled): string {
  const rows = input.pseudoTokens;
  const bits = new Int32Array(rows.buffer, rows.byteOffset, rows.length);
  return [
    path,
    fold(input.tokens.subarray(0, nameTokens + contextTokens)),
    fold(bits),
    ...copying.others.map(fold),
    suffix,
  ].join("\n");
}

/** FNV-1a over 32-bit words, with the length. */
function fold(words: Int32Array): string {
  let hash = 0x811c9dc5;
  for (const word of words) hash = Math.imul(hash ^ word, 0x01000193);
  return `${words.length}:${hash >>> 0}`;
}
