// One trace through the real engine. Keys come at their stated times; when to ask is the engine's own rule; what it answers
// and how long that takes is run and measured. Only waiting is not waited for.
import type { Completion } from "../engine/completion/complete.ts";
import { typingIntervalMs } from "../engine/completion/rhythm.ts";
import { decide, type Situation } from "../engine/completion/trigger.ts";
import type { Typing } from "../engine/completion/typing.ts";
import type { Settings } from "../engine/config.ts";
import type { Mode } from "../engine/domain.ts";
import type { Workspace } from "../engine/engine.ts";
import type { Trace } from "./traces.ts";

/** How an arm of the comparison decides. */
export interface Arm {
  readonly name: string;
  /** A fixed pause before every request, none of the engine's own rules; undefined: the engine's. */
  readonly fixedMs?: number;
  readonly gate: Settings["completion.gate"];
}

export interface Replayed {
  readonly arm: string;
  readonly path: string;
  readonly keys: number;
  readonly characters: number;
  /** Computations begun, those of them whose answer came in time, and the milliseconds all took. */
  readonly asked: number;
  readonly answered: number;
  readonly computeMs: number;
  readonly latencies: readonly number[];
  readonly shown: number;
  /** Shown offers that what was typed next began with. */
  readonly right: number;
  /** Shown, then gone within 300 ms because something else was typed. */
  readonly flickered: number;
  /** Characters of the trace that a right offer showed before they were typed. */
  readonly given: number;
  /** Why nothing was shown after a key, and how often. */
  readonly silent: Readonly<Record<string, number>>;
}

const FLICKER_MS = 300;
const URI = "file:///replayed";

interface OnScreen {
  readonly text: string;
  readonly offset: number;
  readonly at: number;
}

/** A computation that began before the key that came next. */
interface Flight {
  readonly offset: number;
  readonly landsAt: number;
  readonly completion: Completion;
}

export interface ReplayOptions {
  readonly workspace: Workspace;
  readonly settings: Settings & { readonly mode: Mode };
  /** One for an arm's whole run: rhythm is a person's, not a file's. */
  readonly typing: Typing;
  /** Where this trace begins on the arm's clock. */
  readonly startAt: number;
}

export async function replay(trace: Trace, arm: Arm, options: ReplayOptions): Promise<Replayed> {
  const { workspace, settings, typing, startAt } = options;
  const uri = `${URI}/${startAt}`;
  const tally = { asked: 0, answered: 0, computeMs: 0, shown: 0, right: 0, flickered: 0 };
  const latencies: number[] = [];
  const silent: Record<string, number> = {};
  const given = new Set<number>();
  let typed = "";
  let onScreen: OnScreen | undefined;
  let flight: Flight | undefined;
  let version = 1;
  const stayedSilent = (reason: string) => {
    silent[reason] = (silent[reason] ?? 0) + 1;
  };
  const textNow = () => trace.before + typed + trace.after;
  typing.changed(uri, version, textNow(), startAt);

  const compute = async (): Promise<{ completion: Completion; ms: number }> => {
    const from = performance.now();
    const completion = await workspace.complete(
      { path: trace.path, text: textNow(), offset: trace.before.length + typed.length },
      {
        mode: settings.mode,
        maxLines: settings["completion.maxLines"],
        gate: arm.gate,
        signals: {
          trigger: "automatic",
          languageId: "python",
          lastChange: typing.lastChange(uri),
          sinceChangeMs: 0,
          typingIntervalMs: typingIntervalMs(typing.rhythm),
          shownLately: typing.lately.shown,
          acceptedLately: typing.lately.accepted,
          shape: "line",
        },
      },
    );
    const ms = performance.now() - from;
    if (completion.timings.tokens > 0) {
      tally.asked += 1;
      tally.computeMs += ms;
      latencies.push(ms);
      typing.answered(ms);
    }
    return { completion, ms };
  };
  const show = (completion: Completion, at: number) => {
    tally.answered += 1;
    if (completion.reason !== undefined) return stayedSilent(completion.reason);
    const offset = trace.before.length + typed.length;
    tally.shown += 1;
    onScreen = { text: completion.text, offset, at };
    typing.shown(uri, offset, completion);
    const comes = trace.typed.startsWith(typed) ? trace.typed.slice(typed.length) + trace.after : "";
    if (!beginsWith(comes, completion.text.trimEnd())) return;
    tally.right += 1;
    for (let n = 0; n < completion.text.trimEnd().length; n += 1) given.add(typed.length + n);
  };

  for (const [n, key] of trace.keys.entries()) {
    const now = startAt + key.at;
    const nextAt = startAt + (trace.keys[n + 1]?.at ?? key.at + 2000);
    typed = key.kind === "delete" ? typed.slice(0, -1) : typed + key.text;
    version += 1;
    typing.changed(uri, version, textNow(), now);
    const offset = trace.before.length + typed.length;
    if (onScreen !== undefined) {
      const along = typed.slice(Math.max(0, onScreen.offset - trace.before.length));
      const isAlong =
        offset >= onScreen.offset && onScreen.text.startsWith(along) && along.length < onScreen.text.length;
      // The editor keeps an offer that is typed along, and the engine answers it from memory.
      if (isAlong) continue;
      if (along.length < onScreen.text.length && now - onScreen.at < FLICKER_MS) tally.flickered += 1;
      onScreen = undefined;
    }
    const cursor = { path: trace.path, text: textNow(), offset };
    const mayJoin =
      arm.fixedMs === undefined && flight !== undefined && flight.landsAt > now && flight.offset <= offset;
    const decision =
      arm.fixedMs === undefined
        ? decide(
            situationOf(uri, typing, cursor, workspace.remembers(cursor, settings.mode) || mayJoin),
            typing.rhythm,
            settings["completion.debounceMs"],
            now,
          )
        : ({ kind: "ask", waitMs: arm.fixedMs, doubtMs: arm.fixedMs } as const);
    if (decision.kind === "silent") {
      stayedSilent(decision.reason);
      continue;
    }
    let askedAt = now + decision.waitMs;
    if (askedAt >= nextAt) {
      stayedSilent("typed on before asking");
      continue;
    }
    if (mayJoin && flight !== undefined) {
      if (flight.landsAt >= nextAt) {
        stayedSilent("typed on before the answer");
        continue;
      }
      const rest = restOf(flight, offset, typed, trace.before.length);
      askedAt = flight.landsAt;
      flight = undefined;
      if (rest !== undefined) {
        show(rest, askedAt);
        continue;
      }
    }
    const { completion, ms } = await compute();
    const landsAt = askedAt + ms;
    const isDoubtful = completion.reason === undefined && completion.verdict?.isSure === false;
    const shownAt = isDoubtful ? Math.max(landsAt, now + decision.doubtMs) : landsAt;
    if (shownAt < nextAt) {
      flight = undefined;
      show(completion, shownAt);
    } else if (landsAt < nextAt) {
      flight = undefined;
      stayedSilent("typed on before a doubtful answer was shown");
    } else {
      stayedSilent("typed on before the answer");
      flight = { offset, landsAt, completion };
    }
  }
  return {
    arm: arm.name,
    path: trace.path,
    keys: trace.keys.length,
    characters: trace.typed.length,
    ...tally,
    latencies,
    given: [...given].filter((at) => at < trace.typed.length).length,
    silent,
  };
}

/** What is left of an answer asked for some keys ago; undefined when something else was typed. */
function restOf(flight: Flight, offset: number, typed: string, start: number): Completion | undefined {
  const { completion } = flight;
  const along = typed.slice(flight.offset - start, offset - start);
  if (completion.reason !== undefined || !completion.text.startsWith(along)) return undefined;
  const text = completion.text.slice(along.length);
  return text.trim() === "" ? undefined : { ...completion, text };
}

/** Up to a word's end. */
function beginsWith(comes: string, offer: string): boolean {
  if (offer === "" || !comes.startsWith(offer)) return false;
  return !(/[\p{L}\p{N}_]$/u.test(offer) && /^[\p{L}\p{N}_]/u.test(comes.slice(offer.length)));
}

function situationOf(
  uri: string,
  typing: Typing,
  { text, offset }: { readonly text: string; readonly offset: number },
  isAnswered: boolean,
): Situation {
  const lineEnd = text.indexOf("\n", offset);
  return {
    trigger: "automatic",
    scheme: "file",
    languageId: "python",
    isLanguageOn: true,
    characters: text.length,
    wordCharacters: text.replace(/\s/g, "").length,
    lineBefore: text.slice(text.lastIndexOf("\n", offset - 1) + 1, offset),
    lineAfter: text.slice(offset, lineEnd === -1 ? text.length : lineEnd),
    hasTextBelow: lineEnd !== -1 && text.slice(lineEnd).trim() !== "",
    cursors: 1,
    isDiff: false,
    isReadOnly: false,
    lastChange: typing.lastChange(uri),
    isAnswered,
  };
}
