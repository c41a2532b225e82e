// The recipe of one completion: prompt -> retrieve -> assemble -> generate -> post-process.
import type { Candidate, Level, Mode, Prompt, Timings } from "../domain.ts";
import { EngineError, type HiddenBy, isOfEndpoint, type NoCompletionReason, type Problem } from "../errors.ts";
import type { Generation, Models } from "../infer/models.ts";
import type { Tokenizer } from "../infer/tokenizer.ts";
import type { PackManifest } from "../pack/pack.ts";
import type { Retrieve, Retrieved } from "../retrieval/retrieve.ts";
import { Trace } from "../trace.ts";
import { otherTexts, type Scored, scored } from "./alternatives.ts";
import { type Assembled, assemble } from "./assemble.ts";
import { copySources } from "./copySources.ts";
import type { DocumentSyntax } from "./documentSyntax.ts";
import { entityNames } from "./entityNames.ts";
import type { Offer } from "./filters/filter.ts";
import type { GatePolicy } from "./gate.ts";
import type { GateFeatures } from "./gateFeatures.ts";
import { type Generated, generate } from "./generate.ts";
import { type Judged, noteJudged, offersOf, suggestionOf } from "./judged.ts";
import { shapeAt } from "./lines.ts";
import { postprocess } from "./postprocess.ts";
import { buildPrompt, type Cursor, type PromptBudget } from "./prompt.ts";
import type { ReaderCache } from "./readerCache.ts";
import type { Origin, Recalled, RecentCompletions } from "./recentCompletions.ts";
import { ASKED_BY_HAND, type Signals } from "./signals.ts";
import type { Found, StickyCandidates } from "./stickyCandidates.ts";
import { surroundingsOf } from "./surroundings.ts";

export interface CompleteDeps {
  readonly manifest: PackManifest;
  readonly tokenizer: Tokenizer;
  readonly models: Models;
  /** Where the reader cannot serve every mode of the pack: the one to take, and why it is another. */
  readonly usableMode?: (mode: Mode, signal?: AbortSignal) => Promise<{ mode: Mode; problems: readonly Problem[] }>;
  /** Absent where there is no index, such as a file outside every workspace folder. */
  readonly retrieve?: Retrieve;
  readonly pseudoTokensOf: (ids: readonly number[]) => ReadonlyMap<number, Float32Array>;
  readonly recent?: RecentCompletions;
  /** Absent: every request retrieves anew. */
  readonly sticky?: StickyCandidates;
  readonly written?: ReaderCache;
  /** Absent: always one line, and the grammar has no say. */
  readonly syntax?: DocumentSyntax;
  readonly weigh?: Weigh;
  /** Keywords and built-in names of the language of a file; absent: none are known. */
  readonly reservedIn?: (path: string) => ReadonlySet<string>;
}

/** An offer that post-processing let through, with all that is known of it. */
export interface Weighed {
  readonly cursor: Cursor;
  readonly mode: Mode;
  readonly gate: GatePolicy;
  readonly signals: Signals;
  readonly prompt: Prompt;
  /** Those the reader's input holds, best first. */
  readonly candidates: readonly Candidate[];
  readonly generation: Generation;
  /** What the reader wrote. */
  readonly raw: string;
  readonly offer: Offer;
}

export interface Verdict {
  /** Name of what hides the offer; it becomes the reason `hidden(name)`. Absent: the offer is shown. */
  readonly hiddenBy?: HiddenBy;
  /** Into the trace, such as scores. */
  readonly facts: Readonly<Record<string, string | number>>;
  /** What the gate saw, to be learned from when the person has answered. */
  readonly features?: GateFeatures;
  /** That the offer is taken and kept; absent without a gate. */
  readonly probability?: number;
  /** Even a strict gate would show it; absent without a gate. */
  readonly isSure?: boolean;
}

/** Judges an offer; a manual request is weighed too, but always shown. */
export type Weigh = (weighed: Weighed) => Verdict | Promise<Verdict>;

export interface CompleteOptions {
  readonly mode: Mode;
  /** Upper limit; how many lines are asked for is decided at the cursor. */
  readonly maxLines: number;
  /** How sure the gate wants to be; absent: everything is shown. */
  readonly gate?: GatePolicy;
  /** Absent: asked by hand. */
  readonly signals?: Signals;
  /** How a later answer from memory names this one. */
  readonly origin?: Origin;
  /** False: token by token, to measure what drafts give. What is written is the same. */
  readonly drafts?: boolean;
  /** False: the reader alone writes, to measure what copied tokens give. */
  readonly copies?: boolean;
  /** How many different offers are wanted; absent: one. Several are remembered for their own place alone. */
  readonly suggestions?: number;
}

/** One of several offers. */
export interface Suggestion extends Offer {
  /** Mean natural log-probability of the reader's tokens. */
  readonly meanLogProb: number;
  /** What the gate saw, as in `Verdict`. */
  readonly features?: GateFeatures;
}

/** The request that made an answer which was then given again. */
export interface Reused {
  readonly origin: string;
  /** How many characters have been typed of it since. */
  readonly typed: number;
  readonly account: Completion;
}

export interface Completion {
  readonly text: string;
  /** UTF-16 code units right of the cursor that accepting replaces. */
  readonly replaceRight: number;
  readonly mode: Mode;
  /** Why nothing is offered; absent when something is. */
  readonly reason?: NoCompletionReason;
  readonly promptTokens: number;
  readonly contextTokens: number;
  readonly pseudoTokens: number;
  readonly candidates: readonly Candidate[];
  /** The windows around the cursor; absent where the reader was not asked. */
  readonly prompt?: Prompt;
  readonly timings: Timings;
  readonly problems: readonly Problem[];
  readonly trace: Trace;
  /** Of an offer that was weighed, shown or not. */
  readonly verdict?: Verdict;
  /** Offers to choose from beside `text`, likeliest first; absent where one was asked for. */
  readonly others?: readonly Suggestion[];
  /** Present where nothing was computed: all but the offer and the time is that one's. */
  readonly reused?: Reused;
}

/** More than any mode reads: text that is too long is passed over. */
const CANDIDATES = 32;

/** Levels whose nodes each mode can use. */
const LEVELS_OF: Readonly<Record<Mode, readonly Level[]>> = {
  none: [],
  full: ["chunk"],
  compressed: ["chunk", "file", "directory", "repository"],
};

export async function complete(
  cursor: Cursor,
  options: CompleteOptions,
  deps: CompleteDeps,
  signal?: AbortSignal,
): Promise<Completion> {
  const { mode: wanted, gate = "off", signals = ASKED_BY_HAND, suggestions = 1 } = options;
  const { manifest, tokenizer } = deps;
  const trace = new Trace();
  const outcome = outcomeOf(wanted, trace);

  const prompt = buildPrompt(cursor, windowsOf(manifest, wanted), (text) => tokenizer.encode(text).length);
  if ("reason" in prompt) return outcome(prompt);

  const recalled = deps.recent?.find(cursor, wanted);
  if (recalled !== undefined && (suggestions === 1 || isWhole(recalled))) {
    const { offer, verdict, ...reused } = recalled;
    const { others } = suggestions === 1 ? {} : reused.account;
    return outcome({
      offer,
      reused,
      ...(verdict === undefined ? {} : { verdict }),
      ...(others === undefined ? {} : { others }),
    });
  }

  const syntax = deps.syntax?.of(cursor.path, cursor.text, signals.languageId);
  const place = await trace.time("parse", () => syntax?.placeAt(cursor.text, cursor.offset));
  const shape = shapeAt(cursor, options.maxLines, place);
  const { maxLines } = shape;
  trace.note("lines", `${maxLines}, ${shape.why}`);

  try {
    const { mode, problems: ofMode } = (await deps.usableMode?.(wanted, signal)) ?? { mode: wanted, problems: [] };
    if (!manifest.modes.includes(mode)) return outcome({ reason: "mode-not-supported" });
    const { candidates, problems, overlap, names } = await trace.time("retrieve", () =>
      candidatesFor(cursor, prompt, mode, signals, deps, signal),
    );
    if (overlap !== undefined) trace.note("overlap", overlap);
    if (names.length > 0) trace.note("names", names.join(" "));
    const assembled = await trace.time("assemble", async () => {
      const sources = await copySources(cursor, candidates, tokenizer, signal);
      const copying = { ...sources, weights: weightsOf(manifest, options) };
      return assemble(prompt, candidates, mode, { names, copying }, deps);
    });
    const asked = { ...assembled, drafts: options.drafts !== false };
    const known = writtenBefore(prompt, assembled, maxLines, options, deps);
    if (known !== undefined) trace.note("origin", "the reader has read the same before");
    const written = known ?? (await trace.time("generate", () => generate(asked, maxLines, deps, signal)));
    if (known === undefined) deps.written?.add(prompt, assembled, maxLines, written);
    const { generation } = written;
    trace.note("ended", generation.end);
    trace.note("reusedTokens", generation.reusedTokens);
    trace.note("runs", generation.runs);
    trace.note("drafted", generation.drafted);
    trace.note("accepted", generation.accepted);
    const facts = { mode, prompt, assembled, problems: [...ofMode, ...problems], generation };
    if (generation.end === "cancelled") {
      trace.note("raw", written.text);
      return outcome({ ...facts, reason: reasonOf(signal) });
    }

    const judge = async (text: Scored): Promise<Judged> => {
      const isCutShort = text.generation.end === "max-tokens";
      const { stopTokens } = manifest.prompt;
      const { offer, droppedBy, fired } = await trace.time("postprocess", () =>
        postprocess(text.text, surroundingsOf(cursor, { maxLines, isCutShort, stopTokens, syntax, place })),
      );
      const judged = { text, fired, meanLogProb: text.meanLogProb };
      if (offer === undefined) {
        return { ...judged, reason: text.text.trim() === "" ? "nothing-generated" : `filtered(${droppedBy})` };
      }
      const weighed = {
        cursor,
        mode,
        gate,
        signals: { ...signals, shape: shape.why },
        prompt,
        candidates: assembled.used,
        generation: text.generation,
        raw: text.text,
        offer,
      };
      const verdict = await trace.time("weigh", () => weigh(weighed, deps));
      const { hiddenBy } = verdict;
      return { ...judged, offer, verdict, ...(hiddenBy === undefined ? {} : { reason: `hidden(${hiddenBy})` }) };
    };
    const first = await judge(scored(written));
    const judged = [first];
    if (suggestions > 1) {
      await trace.time("alternatives", async () => {
        for await (const other of otherTexts(written, asked, maxLines, deps, signal)) {
          judged.push(await judge(other));
          if (offersOf(judged).length >= suggestions) break;
        }
      });
    }
    const [best = first, ...others] = offersOf(judged);
    if (suggestions > 1 && best.reason === undefined) trace.note("mean log-probability", best.meanLogProb.toFixed(2));
    noteJudged(best, trace);
    const { offer, reason, verdict } = best;
    const completion = outcome({
      ...facts,
      ...(verdict === undefined ? {} : { verdict }),
      ...(reason === undefined ? {} : { reason }),
      ...(reason === undefined && offer !== undefined ? { offer } : {}),
      ...(suggestions === 1 ? {} : { others: others.map(suggestionOf) }),
    });
    if (reason === undefined) {
      // The best last: it is found first.
      for (const each of [...others.reverse(), best]) {
        if (each.offer === undefined) continue;
        deps.recent?.add(cursor, wanted, each.offer, completion, { origin: options.origin, verdict: each.verdict });
      }
    }
    return completion;
  } catch (error) {
    if (signal?.aborted && error === signal.reason) return outcome({ reason: reasonOf(signal) });
    if (!(error instanceof EngineError) || !isOfEndpoint(error)) throw error;
    const problem = { code: "READER_FAILED", detail: `${error.message}. ${error.action}` } as const;
    return outcome({ reason: `reader-failed(${error.code})`, problems: [problem] });
  }
}

/** While the person types on in one place, what was retrieved there stays; asked by hand, it is retrieved anew. */
async function candidatesFor(
  cursor: Cursor,
  prompt: Prompt,
  mode: Mode,
  signals: Signals,
  deps: CompleteDeps,
  signal: AbortSignal | undefined,
): Promise<Retrieved & Found> {
  if (mode === "none" || deps.retrieve === undefined) return { candidates: [], names: [], problems: [] };
  const kept = signals.trigger === "automatic" ? deps.sticky?.find(cursor, mode) : undefined;
  if (kept !== undefined) return { ...kept, problems: [] };
  const trainedOn = deps.manifest.projector?.levels;
  const levels = LEVELS_OF[mode].filter((level) => mode !== "compressed" || (trainedOn?.includes(level) ?? true));
  const retrieved = await deps.retrieve(prompt, { limit: CANDIDATES, levels }, signal);
  const found = { ...retrieved, names: namesFor(prompt, retrieved.candidates, mode, deps) };
  deps.sticky?.add(cursor, mode, found);
  return found;
}

function namesFor(prompt: Prompt, candidates: readonly Candidate[], mode: Mode, deps: CompleteDeps): readonly string[] {
  const { entityNames: wanted } = deps.manifest.prompt;
  if (mode !== "compressed" || wanted === undefined) return [];
  const { reservedIn = () => new Set() } = deps;
  const chunks = candidates
    .filter(({ node }) => node.level === "chunk")
    .map(({ node }) => ({ text: node.text, reserved: reservedIn(node.path) }));
  return entityNames(chunks, prompt, wanted.budget, (text) => deps.tokenizer.encode(text).length);
}

function weightsOf({ copying }: PackManifest, { copies = true }: CompleteOptions): readonly number[] {
  return copies ? (copying?.weights ?? []) : [];
}

/** Tokens around the cursor: names take their room from the left. */
function windowsOf({ prompt }: PackManifest, mode: Mode): PromptBudget {
  const { budget, entityNames } = prompt;
  return mode === "compressed" && entityNames !== undefined ? { ...budget, left: entityNames.left } : budget;
}

/** All that was offered, at the place where it was: the editor asks again for every look at the next one. */
function isWhole({ offer, typed, account }: Recalled): boolean {
  return typed === 0 && account.others !== undefined && account.text === offer.text;
}

/** What the reader wrote before from the same input; several offers need all of it, from its first token. */
function writtenBefore(
  prompt: Prompt,
  assembled: Assembled,
  maxLines: number,
  { suggestions = 1 }: CompleteOptions,
  { written, tokenizer }: CompleteDeps,
): Generated | undefined {
  const known = written?.find(prompt, assembled, maxLines);
  if (known === undefined || suggestions === 1) return known;
  return tokenizer.decode(known.generation.tokens) === known.text ? known : undefined;
}

async function weigh(weighed: Weighed, deps: CompleteDeps): Promise<Verdict> {
  const { hiddenBy, ...verdict } = (await deps.weigh?.(weighed)) ?? { facts: {} };
  if (hiddenBy === undefined) return verdict;
  if (weighed.signals.trigger === "automatic") return { ...verdict, hiddenBy };
  return { ...verdict, facts: { ...verdict.facts, "shown although": hiddenBy } };
}

/** An abort whose reason is a `DOMException` of a timeout is the deadline; any other is the person typing on. */
function reasonOf(signal: AbortSignal | undefined): NoCompletionReason {
  const reason: unknown = signal?.reason;
  return reason instanceof DOMException && reason.name === "TimeoutError" ? "deadline" : "cancelled";
}

/** The record of a request that was not computed. */
export function silent(mode: Mode, reason: NoCompletionReason): Completion {
  return outcomeOf(mode, new Trace())({ reason });
}

interface Facts {
  /** The one taken, where it is another than the one wanted. */
  readonly mode?: Mode;
  readonly offer?: Offer;
  readonly reason?: NoCompletionReason;
  readonly verdict?: Verdict;
  readonly others?: readonly Suggestion[];
  readonly reused?: Reused;
  readonly prompt?: Prompt;
  readonly assembled?: Assembled;
  readonly problems?: readonly Problem[];
  readonly generation?: { readonly prefillMs: number; readonly ttftMs: number; readonly tokens: readonly number[] };
}

/** Fills the record of the request; the times before generation count into the time to the first token. */
function outcomeOf(wanted: Mode, trace: Trace): (facts: Facts) => Completion {
  return ({ mode = wanted, offer, reason, verdict, others, reused, prompt, assembled, problems = [], generation }) => {
    const beforeGenerate = trace.ms("retrieve") + trace.ms("assemble");
    const totalMs = trace.elapsedMs();
    return {
      text: offer?.text ?? "",
      replaceRight: offer?.replaceRight ?? 0,
      mode,
      ...(reason === undefined ? {} : { reason }),
      promptTokens: assembled?.promptTokens ?? 0,
      contextTokens: assembled?.contextTokens ?? 0,
      pseudoTokens: assembled?.pseudoTokens ?? 0,
      candidates: assembled?.used ?? [],
      ...(prompt === undefined ? {} : { prompt }),
      timings: {
        retrieveMs: trace.ms("retrieve"),
        prefillMs: generation?.prefillMs ?? 0,
        ttftMs: generation === undefined ? totalMs : beforeGenerate + generation.ttftMs,
        totalMs,
        tokens: generation?.tokens.length ?? 0,
      },
      problems,
      trace,
      ...(verdict === undefined ? {} : { verdict }),
      ...(others === undefined ? {} : { others }),
      ...(reused === undefined ? {} : { reused }),
    };
  };
}
