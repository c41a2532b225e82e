// What the gate looks at: an offer and its moment as numbers. Every feature has a name, by which a gate's weights find it,
// and a fixed place in no list: an older gate reads a newer engine and the other way round.
import { identifiersOf } from "../retrieval/identifiers.ts";
import type { Weighed } from "./complete.ts";
import type { SymbolReport } from "./symbols.ts";

export type GateFeatures = Readonly<Record<string, number>>;

/** Words behind which a name follows that the file may not hold yet. */
const NAMING = /\b(?:import|from|def|class|as|function|let|const|var|fn|func|struct|enum|type)\s+[\w.]*$/;

/** Log-probabilities below this say no more. */
const LEAST_LOG_PROB = -8;

export function gateFeatures(weighed: Weighed, symbols: SymbolReport): GateFeatures {
  return {
    ...certaintyOf(weighed),
    ...shapeOf(weighed),
    ...placeOf(weighed),
    ...originOf(weighed),
    ...symbolsOf(symbols),
    ...momentOf(weighed),
  };
}

/** How sure the reader was, over the tokens of what it wrote. What a server does not tell is left out, and does not count. */
function certaintyOf({ generation }: Weighed): GateFeatures {
  const cutOff = Number(generation.end === "max-tokens");
  const isKnown = (numbers: readonly number[]) => numbers.length > 0 || generation.tokens.length === 0;
  if (!isKnown(generation.logProbs)) return { cutOff };
  const logProbs = generation.logProbs.map((each) => Math.max(LEAST_LOG_PROB, each));
  const sum = logProbs.reduce((total, each) => total + each, 0);
  const [first = LEAST_LOG_PROB] = logProbs;
  return {
    meanLogProb: logProbs.length === 0 ? LEAST_LOG_PROB : sum / logProbs.length,
    minLogProb: Math.min(0, ...logProbs),
    firstLogProb: first,
    sumLogProb: Math.max(4 * LEAST_LOG_PROB, sum),
    ...(isKnown(generation.margins) ? { leastMargin: Math.min(-LEAST_LOG_PROB, ...generation.margins) } : {}),
    cutOff,
  };
}

function shapeOf({ offer, cursor }: Weighed): GateFeatures {
  const said = offer.text.trim();
  const right = cursor.text.slice(cursor.offset).split("\n", 1)[0] ?? "";
  return {
    logLength: Math.log1p(said.length),
    lines: Math.log(offer.text.split("\n").length),
    onlyPunctuation: Number(!/[\p{L}\p{N}]/u.test(said)),
    digits: Number(/\d/.test(said)),
    string: Number(/["'`]/.test(said)),
    opensMore: Math.max(-2, Math.min(2, bracketsOf(offer.text) - (offer.replaceRight > 0 ? bracketsOf(right) : 0))),
  };
}

function bracketsOf(text: string): number {
  return (text.match(/[([{]/g)?.length ?? 0) - (text.match(/[)\]}]/g)?.length ?? 0);
}

/** The syntax left and right of the cursor, as far as its line tells. */
function placeOf({ cursor }: Weighed): GateFeatures {
  const { text, offset } = cursor;
  const left = text.slice(text.lastIndexOf("\n", offset - 1) + 1, offset);
  const right = text.slice(offset).split(/\r?\n/, 1)[0] ?? "";
  const trimmed = left.trimEnd();
  return {
    atLineStart: Number(trimmed === ""),
    indentation: Math.min(6, (/^[ \t]*/.exec(left)?.[0].replace(/\t/g, "    ").length ?? 0) / 4),
    logLeft: Math.log1p(trimmed.trimStart().length),
    inWord: Number(/[\p{L}\p{N}_]$/u.test(left)),
    afterDot: Number(/\.[\p{L}\p{N}_]*$/u.test(left)),
    afterAssignment: Number(/[^=!<>]=\s*$/.test(left)),
    afterOpener: Number(/[([{,]\s*$/.test(left) && trimmed !== ""),
    afterNaming: Number(NAMING.test(left)),
    inComment: Number(/(?:^|\s)(?:#|\/\/)/.test(left) || /^\s*\*\s/.test(left)),
    inString: Number(isInString(left)),
    codeAtRight: Number(right.trim() !== ""),
  };
}

/** Of the quotes left of the cursor on its line, one is open. */
function isInString(left: string): boolean {
  let open = "";
  for (let i = 0; i < left.length; i += 1) {
    const char = left.charAt(i);
    if (char === "\\") i += 1;
    else if (open !== "") open = char === open ? "" : open;
    else if (char === '"' || char === "'" || char === "`") open = char;
  }
  return open !== "";
}

/** Whether what is offered stands in the file or in what was retrieved, by names, as a line's rest, and as a whole line. */
function originOf({ candidates, offer, cursor, mode, prompt }: Weighed): GateFeatures {
  const wanted = identifiersOf(offer.text);
  const near = new Set([...identifiersOf(prompt.prefix), ...identifiersOf(prompt.suffix)]);
  const retrieved = candidates.map(({ node }) => node.text).filter((text) => text !== "");
  const share = (known: ReadonlySet<string>) =>
    wanted.length === 0 ? 0 : wanted.filter((word) => known.has(word)).length / wanted.length;
  const rest = offer.text.trim().split("\n", 1)[0] ?? "";
  const whole = wholeLine(cursor, offer.text);
  const isWholeLine = rest === whole;
  const stands = (line: string, texts: readonly string[]) =>
    Number(line.length >= LEAST_LINE && texts.some((text) => text.includes(line)));
  return {
    hasNames: Number(wanted.length > 0),
    nearNames: share(near),
    retrievedNames: share(new Set(retrieved.flatMap(identifiersOf))),
    restElsewhere: stands(rest, [cursor.text]),
    restRetrieved: stands(rest, retrieved),
    lineElsewhere: stands(whole, [cursor.text]),
    lineRetrieved: stands(whole, retrieved),
    // A line begun and found again as a whole, in several places: what its writer is repeating.
    copies:
      Number(!isWholeLine) * Math.log1p([cursor.text, ...retrieved].reduce((n, text) => n + countOf(whole, text), 0)),
    candidates: Math.log1p(candidates.length),
    bestScore: candidates[0]?.score ?? 0,
    compressed: Number(mode === "compressed"),
    alone: Number(mode === "none"),
  };
}

/** Shorter lines stand everywhere. */
const LEAST_LINE = 8;

/** How often a line stands in a text; 0 for a short one. */
function countOf(line: string, text: string): number {
  return line.length < LEAST_LINE ? 0 : text.split(line).length - 1;
}

/** The cursor's line as it would be. */
function wholeLine({ text, offset }: Weighed["cursor"], offered: string): string {
  const left = text.slice(text.lastIndexOf("\n", offset - 1) + 1, offset);
  return `${left}${offered.split("\n", 1)[0] ?? ""}`.trim();
}

function symbolsOf(symbols: SymbolReport): GateFeatures {
  const some = (list: readonly string[]) => Math.min(2, list.length);
  return {
    unresolved: some(symbols.unresolved),
    unknownAttributes: some(symbols.unknownAttributes),
    notInFile: some(symbols.notInFile),
    wrongCalls: some(symbols.wrongCalls),
  };
}

/** Rhythm and recent outcomes: tasks made from files cannot teach them, so a shipped gate leaves them to its person. */
function momentOf({ signals }: Weighed): GateFeatures {
  const { typingIntervalMs, sinceChangeMs, shownLately, acceptedLately, lastChange } = signals;
  return {
    logInterval: typingIntervalMs > 0 ? Math.log(typingIntervalMs / 200) : 0,
    logPause: Number.isFinite(sinceChangeMs) ? Math.log(Math.max(50, Math.min(10_000, sinceChangeMs)) / 300) : 0,
    // Two shown and one accepted as the start: one refusal says little.
    acceptedShare: (acceptedLately + 1) / (shownLately + 2) - 0.5,
    afterAccept: Number(lastChange === "accepted"),
  };
}
