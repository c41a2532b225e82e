// How a person types and how the engine kept up: from it, how long to wait before computing. Values, not objects with a clock.

/**
 * Where a figure comes from stands beside it. Tabby: `clients/tabby-agent/src/codeCompletion/debouncer.ts`. Copilot: the
 * next-edit debounce of Copilot Chat. Ours: chosen here, with the reason.
 */
export const RHYTHM = {
  /** Tabby: the wait is this many typing intervals, less where the place invites a completion. */
  rate: { most: 3, least: 1.5 },
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
  /** Copilot: a dismissal lengthens the wait, an acceptance shortens it, within limits, and both are forgotten. */
  dismissed: 1.5,
  accepted: 0.8,
  patience: { least: 0.5, most: 4 },
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

/** Above 1 after dismissals, below after acceptances. */
export function patienceOf({ outcomes }: Rhythm, now: number): number {
  const { patience, outcomeLifeMs, accepted, dismissed } = RHYTHM;
  return outcomes
    .filter(({ at }) => now - at <= outcomeLifeMs)
    .reduce(
      (product, { isAccepted }) => clamp(product * (isAccepted ? accepted : dismissed), patience.least, patience.most),
      1,
    );
}

/**
 * Milliseconds to wait after a keystroke: rate × typing interval − latency, times patience, between `leastMs` and the table's
 * most. `invitation` in [0, 1] says how much the place invites a completion.
 */
export function waitMs(rhythm: Rhythm, invitation: number, leastMs: number, now: number): number {
  const { most, least } = RHYTHM.rate;
  const rate = most - (most - least) * invitation;
  const wait = (rate * typingIntervalMs(rhythm) - rhythm.latencyMs) * patienceOf(rhythm, now);
  return clamp(wait, leastMs, Math.max(leastMs, RHYTHM.mostMs));
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}
