// A word in ASCII -> its number of tokens by a byte-level BPE model, as the merges of `tokenizer.json` say, without the
// ids. Several times faster than encoding, which a chunker does for every new word of a workspace.

/** The `model` of a `tokenizer.json`, as far as counting needs it. */
export interface BytePairModel {
  readonly type: string;
  readonly merges?: readonly (string | readonly [string, string])[];
  readonly vocab?: Readonly<Record<string, number>>;
  readonly dropout?: number | null;
  readonly ignore_merges?: boolean;
  readonly continuing_subword_prefix?: string | null;
  readonly end_of_word_suffix?: string | null;
}

/** Longer words are data; merging them pair by pair would take time that grows with the square of their length. */
const LONGEST = 64;

/** Undefined for a model that is no plain byte-level BPE. The counter answers undefined for words it does not count. */
export function createPairCounter(
  model: BytePairModel | undefined,
): ((word: string) => number | undefined) | undefined {
  const { merges, vocab } = model ?? {};
  if (model?.type !== "BPE" || merges === undefined || vocab === undefined || !isPlain(model)) return undefined;
  const ranks = new Map<string, number>();
  for (const [rank, merge] of merges.entries()) {
    const key = typeof merge === "string" ? merge : `${merge[0]} ${merge[1]}`;
    if (!ranks.has(key)) ranks.set(key, rank);
  }
  const letters = Array.from({ length: 128 }, (_, byte) => letterOf(byte));
  if (letters.some((letter) => vocab[letter] === undefined)) return undefined;
  return (word) => {
    if (word.length > LONGEST) return undefined;
    const parts: string[] = [];
    for (let at = 0; at < word.length; at++) {
      const letter = letters[word.charCodeAt(at)];
      if (letter === undefined) return undefined;
      parts.push(letter);
    }
    mergeAll(parts, ranks);
    return parts.length;
  };
}

function isPlain({ dropout, ignore_merges, continuing_subword_prefix, end_of_word_suffix }: BytePairModel): boolean {
  return !dropout && ignore_merges !== true && !continuing_subword_prefix && !end_of_word_suffix;
}

/** The pair of lowest rank first, of equal pairs the leftmost, until none is left. */
function mergeAll(parts: string[], ranks: ReadonlyMap<string, number>): void {
  const rankAt = (at: number) => ranks.get(`${parts[at]} ${parts[at + 1]}`) ?? Number.POSITIVE_INFINITY;
  const pairs = Array.from({ length: Math.max(0, parts.length - 1) }, (_, at) => rankAt(at));
  for (;;) {
    let best = -1;
    let lowest = Number.POSITIVE_INFINITY;
    for (let at = 0; at < pairs.length; at++) {
      const rank = pairs[at] as number;
      if (rank < lowest) {
        lowest = rank;
        best = at;
      }
    }
    if (best < 0) return;
    parts.splice(best, 2, `${parts[best]}${parts[best + 1]}`);
    pairs.splice(best, 1);
    if (best > 0) pairs[best - 1] = rankAt(best - 1);
    if (best < pairs.length) pairs[best] = rankAt(best);
  }
}

/** GPT-2's letters for bytes: visible ones stand for themselves, the others follow from U+0100 in their order. */
function letterOf(byte: number): string {
  if (byte > 0x20 && byte < 0x7f) return String.fromCharCode(byte);
  return String.fromCharCode(0x100 + (byte === 0x7f ? 0x21 : byte));
}
