// How a person types and how the engine kept up: from it, how long to wait before computing. Values, not objects with a clock.

/**
 * Where a figure comes from stands beside it. Tabby: `clients/tabby-agent/src/codeCompletion/debouncer.ts`. Copilot: the
 * next-edit debounce of Copilot Chat. Ours: chosen here, with the reason.
 */
export const RHYTHM = {
  /** Tabby: a doubtful offer waits this many typing intervals, less where the place invites a completion. */
  rate: { most: 3, least: 1.5 },
  /** Ours, by `precis bench replay`: asked is after this share of that wait, and what is sure is shown then. */
  sureShare: 2 / 3,
  /** Tabby: mean intervals outside are taken for these. */
  intervalMs: { least: 100, most: 400 },
  /** Ours: a longer pause is thought, not rhythm. */
  thoughtMs: 1500,
  /** Ours: before the first keystrokes are measured; Tabby's base interval. */
  firstIntervalMs: 200,
  /** Ours: keystrokes remembered; about one line. */
  keystrokes: 30,
  /** Tabby: never longer. The setting `completion.debounceMs` is the least. */
  mostMs: 1000,
  /**
   * Copilot: a dismissal lengthens the wait, an acceptance shortens it again, within limits, and both are forgotten. Ours: by
   * how much. They balance where three of ten are taken; with Copilot's 1.5 only who takes two of three is not made to wait.
   */
  dismissed: 1.1,
  accepted: 0.8,
  patience: { least: 1, most: 2 },
  outcomeLifeMs: 600_000,
  outcomes: 20,
  /** Ours: weight of the newest answer in the mean latency. */
  newestLatency: 0.3,
} as const;

export interface Rhythm {
  /** Milliseconds between the last keystrokes, oldest first. */
  readonly intervals: readonly number[];
  readonly lastKeyAt: number | undefined;
  /** Mean milliseconds of the last answers; 0 before the first. */
  readonly latencyMs: number;
  readonly outcomes: readonly { readonly at: number; readonly isAccepted: boolean }[];
}

export const NO_RHYTHM: Rhythm = { intervals: [], lastKeyAt: undefined, latencyMs: 0, outcomes: [] };

export function withKeystroke(rhythm: Rhythm, at: number): Rhythm {
  const interval = rhythm.lastKeyAt === undefined ? undefined : at - rhythm.lastKeyAt;
  const isRhythm = interval !== undefined && interval <= RHYTHM.thoughtMs;
  const intervals = isRhythm ? [...rhythm.intervals, interval].slice(-RHYTHM.keystrokes) : rhythm.intervals;
  return { ...rhythm, intervals, lastKeyAt: at };
}

export function withLatency(rhythm: Rhythm, ms: number): Rhythm {
  const { newestLatency } = RHYTHM;
  const latencyMs = rhythm.latencyMs === 0 ? ms : rhythm.latencyMs * (1 - newestLatency) + ms * newestLatency;
  return { ...rhythm, latencyMs };
}

export function withOutcome(rhythm: Rhythm, isAccepted: boolean, at: number): Rhythm {
  return { ...rhythm, outcomes: [...rhythm.outcomes, { at, isAccepted }].slice(-RHYTHM.outcomes) };
}

/** Mean pause between keystrokes, within the limits. */
export function typingIntervalMs({ intervals }: Rhythm): number {
  if (intervals.length === 0) return RHYTHM.firstIntervalMs;
  const mean = intervals.reduce((sum, interval) => sum + interval, 0) / intervals.length;
  return clamp(mean, RHYTHM.intervalMs.least, RHYTHM.intervalMs.most);
}

/** Above 1 after dismissals that no acceptance made up for. */
export function patienceOf({ outcomes }: Rhythm, now: number): number {
  const { patience, outcomeLifeMs, accepted, dismissed } = RHYTHM;
  return outcomes
    .filter(({ at }) => now - at <= outcomeLifeMs)
    .reduce(
      (product, { isAccepted }) => clamp(product * (isAccepted ? accepted : dismissed), patience.least, patience.most),
      1,
    );
}

/** Milliseconds after a keystroke. */
export interface Wait {
  /** Until the engine is asked. */
  readonly waitMs: number;
  /** Until an offer is shown that it is not sure of. */
  readonly doubtMs: number;
}

/**
 * `doubtMs`: rate × typing interval − latency, times patience; `waitMs`: a share of it. Both between `leastMs` and the table's
 * most. `invitation` in [0, 1] says how much the place invites a completion.
 */
export function waitOf(rhythm: Rhythm, invitation: number, leastMs: number, now: number): Wait {
  const { rate, sureShare, mostMs } = RHYTHM;
  const intervals = rate.most - (rate.most - rate.least) * invitation;
  const wait = (intervals * typingIntervalMs(rhythm) - rhythm.latencyMs) * patienceOf(rhythm, now);
  const limited = (ms: number) => clamp(ms, leastMs, Math.max(leastMs, mostMs));
  return { waitMs: limited(sureShare * limited(wait)), doubtMs: limited(wait) };
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
