// Text -> its length in tokens of the pack, many times faster than encoding it: the words that the tokenizer's own
// pattern cuts a text into are counted once each. Falls back to encoding wherever that might count otherwise.
import { readFile } from "node:fs/promises";
import type { Tokenizer } from "../infer/tokenizer.ts";
import { type BytePairModel, createPairCounter } from "./bytePairs.ts";

/** Words and rows whose count is remembered. */
const REMEMBERED = 200_000;

/** The parts of a `tokenizer.json` that decide how a text is cut before it is encoded. */
interface TokenizerFile {
  readonly model?: BytePairModel;
  readonly added_tokens?: readonly { readonly content: string }[];
  readonly pre_tokenizer?: {
    readonly type: string;
    readonly pretokenizers?: readonly { readonly type: string; readonly pattern?: { readonly Regex?: string } }[];
  };
}

export async function loadTokenCounter(file: string, tokenizer: Tokenizer): Promise<(text: string) => number> {
  const parsed = JSON.parse(await readFile(file, "utf8")) as TokenizerFile;
  return createTokenCounter(parsed, (text) => tokenizer.encode(text).length);
}

export function createTokenCounter(
  file: TokenizerFile,
  encodeLength: (text: string) => number,
): (text: string) => number {
  const counted = remember(encodeLength);
  const words = wordPattern(file);
  if (words === undefined) return counted;
  const countPairs = createPairCounter(file.model);
  const countedWord = remember((word) => countPairs?.(word) ?? encodeLength(word));
  const markers = (file.added_tokens ?? []).map(({ content }) => content);
  return (text) => {
    // Outside ASCII a normaliser may join what the pattern cuts, and markers of special tokens are encoded in a way of
    // their own.
    if (!isAscii(text) || markers.some((marker) => text.includes(marker))) return counted(text);
    let tokens = 0;
    for (const word of text.match(words) ?? []) tokens += countedWord(word);
    return tokens;
  };
}

/** The pattern of a byte-level tokenizer that cuts by one pattern only; undefined for every other kind. */
function wordPattern({ pre_tokenizer: cutter }: TokenizerFile): RegExp | undefined {
  const [split, bytes, ...more] = cutter?.type === "Sequence" ? (cutter.pretokenizers ?? []) : [];
  const source = split?.type === "Split" ? split.pattern?.Regex : undefined;
  if (source === undefined || bytes?.type !== "ByteLevel" || more.length > 0) return undefined;
  try {
    return new RegExp(source, "gu");
  } catch (error) {
    // Written for another regular-expression engine, or for a newer Node.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return false;
  return true;
}

function remember(count: (text: string) => number): (text: string) => number {
  const known = new Map<string, number>();
  return (text) => {
    const before = known.get(text);
    if (before !== undefined) return before;
    const tokens = count(text);
    if (known.size >= REMEMBERED) known.clear();
    known.set(text, tokens);
    return tokens;
  };
}
