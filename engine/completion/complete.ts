// The recipe of one completion: prompt -> retrieve -> assemble -> generate -> post-process.
import type { Candidate, Level, Mode, Prompt, Timings } from "../domain.ts";
import type { HiddenBy, NoCompletionReason, Problem } from "../errors.ts";
import type { Generation, Models } from "../infer/models.ts";
import type { Tokenizer } from "../infer/tokenizer.ts";
import type { PackManifest } from "../pack/pack.ts";
import type { Retrieve, Retrieved } from "../retrieval/retrieve.ts";
import { Trace } from "../trace.ts";
import { type Assembled, assemble } from "./assemble.ts";
import type { DocumentSyntax } from "./documentSyntax.ts";
import type { Offer } from "./filters/filter.ts";
import type { GatePolicy } from "./gate.ts";
import type { GateFeatures } from "./gateFeatures.ts";
import { generate } from "./generate.ts";
import { shapeAt } from "./lines.ts";
import { postprocess } from "./postprocess.ts";
import { buildPrompt, type Cursor } from "./prompt.ts";
import type { ReaderCache } from "./readerCache.ts";
import type { Origin, RecentCompletions } from "./recentCompletions.ts";
import { ASKED_BY_HAND, type Signals } from "./signals.ts";
import type { StickyCandidates } from "./stickyCandidates.ts";
import { surroundingsOf } from "./surroundings.ts";

export interface CompleteDeps {
  readonly manifest: PackManifest;
  readonly tokenizer: Tokenizer;
  readonly models: Models;
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
}

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
  const { mode, gate = "off", signals = ASKED_BY_HAND } = options;
  const { manifest, tokenizer } = deps;
  const trace = new Trace();
  const outcome = outcomeOf(mode, trace);
  if (!manifest.modes.includes(mode)) return outcome({ reason: "mode-not-supported" });

  const prompt = buildPrompt(cursor, manifest.prompt.budget, (text) => tokenizer.encode(text).length);
  if ("reason" in prompt) return outcome(prompt);

  const recalled = deps.recent?.find(cursor, mode);
  if (recalled !== undefined) {
    trace.note("origin", recalled.origin);
    const { offer, verdict } = recalled;
    return outcome(verdict === undefined ? { offer } : { offer, verdict });
  }

  const syntax = deps.syntax?.of(cursor.path, cursor.text, signals.languageId);
  const place = await trace.time("parse", () => syntax?.placeAt(cursor.text, cursor.offset));
  const shape = shapeAt(cursor, options.maxLines, place);
  const { maxLines } = shape;
  trace.note("lines", `${maxLines}, ${shape.why}`);

  try {
    const { candidates, problems, overlap } = await trace.time("retrieve", () =>
      candidatesFor(cursor, prompt, mode, signals, deps, signal),
    );
    if (overlap !== undefined) trace.note("overlap", overlap);
    const assembled = await trace.time("assemble", () => assemble(prompt, candidates, mode, deps));
    const asked = options.drafts === false ? { input: assembled.input } : assembled;
    const known = deps.written?.find(prompt, assembled, maxLines);
    if (known !== undefined) trace.note("origin", "the reader has read the same before");
    const written = known ?? (await trace.time("generate", () => generate(asked, maxLines, deps, signal)));
    if (known === undefined) deps.written?.add(prompt, assembled, maxLines, written);
    const { text: raw, generation } = written;
    trace.note("raw", raw);
    trace.note("ended", generation.end);
    trace.note("reusedTokens", generation.reusedTokens);
    trace.note("runs", generation.runs);
    trace.note("drafted", generation.drafted);
    trace.note("accepted", generation.accepted);
    const facts = { prompt, assembled, problems, generation };
    if (generation.end === "cancelled") return outcome({ ...facts, reason: reasonOf(signal) });

    const isCutShort = generation.end === "max-tokens";
    const { stopTokens } = manifest.prompt;
    const { offer, droppedBy, fired } = await trace.time("postprocess", () =>
      postprocess(raw, surroundingsOf(cursor, { maxLines, isCutShort, stopTokens, syntax, place })),
    );
    if (fired.length > 0) trace.note("filters", fired.join(", "));
    if (offer === undefined) {
      return outcome({ ...facts, reason: raw.trim() === "" ? "nothing-generated" : `filtered(${droppedBy})` });
    }
    const weighed = {
      cursor,
      mode,
      gate,
      signals: { ...signals, shape: shape.why },
      prompt,
      candidates: assembled.used,
      generation,
      raw,
      offer,
    };
    const verdict = await trace.time("weigh", () => weigh(weighed, deps, trace));
    const { hiddenBy } = verdict;
    if (hiddenBy !== undefined) return outcome({ ...facts, verdict, reason: `hidden(${hiddenBy})` });
    deps.recent?.add(cursor, mode, offer, { origin: options.origin, verdict });
    return outcome({ ...facts, verdict, offer });
  } catch (error) {
    if (signal?.aborted && error === signal.reason) return outcome({ reason: reasonOf(signal) });
    throw error;
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
): Promise<Retrieved> {
  if (mode === "none" || deps.retrieve === undefined) return { candidates: [], problems: [] };
  const { budget } = deps.manifest.prompt;
  const kept = signals.trigger === "automatic" ? deps.sticky?.find(cursor, mode) : undefined;
  if (kept !== undefined) return { candidates: kept, problems: [] };
  const retrieved = await deps.retrieve(prompt, { limit: budget.pseudoTokens, levels: LEVELS_OF[mode] }, signal);
  deps.sticky?.add(cursor, mode, retrieved.candidates);
  return retrieved;
}

async function weigh(weighed: Weighed, deps: CompleteDeps, trace: Trace): Promise<Verdict> {
  const { hiddenBy, ...verdict } = (await deps.weigh?.(weighed)) ?? { facts: {} };
  for (const [name, value] of Object.entries(verdict.facts)) trace.note(name, value);
  if (hiddenBy === undefined) return verdict;
  if (weighed.signals.trigger === "automatic") return { ...verdict, hiddenBy };
  trace.note("shown although", hiddenBy);
  return verdict;
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
  readonly offer?: Offer;
  readonly reason?: NoCompletionReason;
  readonly verdict?: Verdict;
  readonly prompt?: Prompt;
  readonly assembled?: Assembled;
  readonly problems?: readonly Problem[];
  readonly generation?: { readonly prefillMs: number; readonly ttftMs: number; readonly tokens: readonly number[] };
}

/** Fills the record of the request; the times before generation count into the time to the first token. */
function outcomeOf(mode: Mode, trace: Trace): (facts: Facts) => Completion {
  return ({ offer, reason, verdict, prompt, assembled, problems = [], generation }) => {
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
    };
  };
}
