// Names put before the prompt beside the pseudo-tokens (HEF, section 3.8): what stood next in code like this is likely to be
// named next here. `training/entity_names.py` is the twin the reader was trained with.

const NAME = /[A-Za-z_][A-Za-z0-9_]{2,}/g;

/** Lines above the cursor that are compared, and lines of a chunk they are compared with. */
const TAIL_LINES = 4;

/** A retrieved chunk. */
export interface NamedChunk {
  readonly text: string;
  /** Keywords and built-in names of its language: they say nothing of the repository. */
  readonly reserved: ReadonlySet<string>;
}

/** In order, repetitions included. */
function namesIn(text: string): string[] {
  return text.match(NAME) ?? [];
}

/** The line of `lines` behind the four most like the last four of `prefix` by shared names; 0 where none is like them. */
function placeBehind(lines: readonly string[], prefix: string): number {
  const tail = prefix.split("\n").filter((line) => line.trim() !== "");
  const wanted = new Set(tail.slice(-TAIL_LINES).flatMap(namesIn));
  const names = lines.map(namesIn);
  let best = 0;
  let place = 0;
  for (let i = 0; i < names.length; i += 1) {
    const here = new Set(names.slice(Math.max(0, i - TAIL_LINES + 1), i + 1).flat());
    const both = [...here].filter((name) => wanted.has(name)).length;
    const score = both / Math.max(1, here.size + wanted.size - both);
    if (score > best) {
      best = score;
      place = i + 1;
    }
  }
  return place;
}

/**
 * Names of `chunks` (best first) that the prompt does not hold and the language does not reserve, each chunk's from behind the
 * place most like the lines above the cursor; the best chunk's stand last, next to the prompt. `budget` is in tokens, as
 * `countTokens` counts a name with a space before it.
 */
export function entityNames(
  chunks: readonly NamedChunk[],
  prompt: { readonly prefix: string; readonly suffix: string },
  budget: number,
  countTokens: (text: string) => number,
): readonly string[] {
  const known = new Set([...namesIn(prompt.prefix), ...namesIn(prompt.suffix)]);
  const groups: string[][] = [];
  let room = budget;
  for (const { text, reserved } of chunks) {
    const lines = text.split("\n");
    const place = placeBehind(lines, prompt.prefix);
    const group: string[] = [];
    groups.unshift(group);
    for (const name of [...lines.slice(place), ...lines.slice(0, place)].flatMap(namesIn)) {
      if (known.has(name) || reserved.has(name)) continue;
      room -= countTokens(` ${name}`);
      if (room < 0) return groups.flat();
      known.add(name);
      group.push(name);
    }
  }
  return groups.flat();
}
