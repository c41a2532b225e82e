// The completion being computed. It outlives its request for a moment: the next keystroke may want the same answer.
import type { Mode } from "../domain.ts";
import type { Completion } from "./complete.ts";
import type { Cursor } from "./prompt.ts";
import { rest } from "./recentCompletions.ts";

export const FLIGHTS = {
  /** Copilot: a newer request waits at least this long for one in flight before it starts its own. */
  joinMs: 200,
  /** Ours: and so many times the mean latency, as ending a run that is nearly done and beginning again takes longer. */
  joinLatencies: 2,
  /** Ours: before any latency is known. */
  firstJoinMs: 1000,
  /** Ours: the editor cancels a request before it sends the next; that takes it a few milliseconds. */
  graceMs: 120,
} as const;

interface Flight {
  readonly cursor: Cursor;
  readonly mode: Mode;
  readonly suggestions: number;
  readonly aborter: AbortController;
  readonly landed: Promise<Completion>;
  waiting: number;
  isOver: boolean;
}

export class Flights {
  #flight: Flight | undefined;

  /** Whether what is being computed may answer that cursor too. */
  mayAnswer(cursor: Cursor, mode: Mode, suggestions = 1): boolean {
    return this.#flight !== undefined && isAlong(this.#flight, cursor, mode, suggestions);
  }

  /**
   * The completion for `cursor`: of the flight under way where that one's answer goes on with what has been typed since,
   * else computed now, in place of what is under way. Undefined when `signal` aborts, which ends the computation only if
   * nobody comes for it. `latencyMs` is the mean of the last answers, 0 where none is known; `suggestions` how many offers are
   * wanted. `compute` rejects when its signal aborts or answers a completion with a reason.
   */
  async answer(
    cursor: Cursor,
    mode: Mode,
    compute: (signal: AbortSignal) => Promise<Completion>,
    signal: AbortSignal,
    latencyMs = 0,
    suggestions = 1,
  ): Promise<Completion | undefined> {
    const flight = this.#flight;
    if (flight !== undefined && isAlong(flight, cursor, mode, suggestions)) {
      const landed = await this.#wait(flight, signal, joinMsOf(latencyMs));
      if (signal.aborted) return undefined;
      const along = landed === undefined ? undefined : continued(landed, flight.cursor, cursor);
      if (along !== undefined) return along;
    }
    this.cancel();
    return await this.#wait(this.#start(cursor, mode, suggestions, compute), signal);
  }

  cancel(): void {
    if (this.#flight?.isOver === false) this.#flight.aborter.abort(new Error("superseded"));
    this.#flight = undefined;
  }

  #start(
    cursor: Cursor,
    mode: Mode,
    suggestions: number,
    compute: (signal: AbortSignal) => Promise<Completion>,
  ): Flight {
    const aborter = new AbortController();
    const landed = compute(aborter.signal);
    const flight: Flight = { cursor, mode, suggestions, aborter, landed, waiting: 0, isOver: false };
    const over = () => {
      flight.isOver = true;
      // From now on memory answers.
      if (this.#flight === flight) this.#flight = undefined;
    };
    this.#flight = flight;
    landed.then(over, over);
    return flight;
  }

  /** Undefined when `signal` aborts or `limitMs` pass first. */
  async #wait(flight: Flight, signal: AbortSignal, limitMs?: number): Promise<Completion | undefined> {
    flight.waiting += 1;
    let timer: NodeJS.Timeout | undefined;
    let stop = () => {};
    const ended = new Promise<undefined>((resolve) => {
      stop = () => resolve(undefined);
      if (signal.aborted) stop();
      signal.addEventListener("abort", stop, { once: true });
      if (limitMs !== undefined) timer = setTimeout(stop, limitMs);
    });
    try {
      return await Promise.race([flight.landed, ended]);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
      this.#leave(flight);
    }
  }

  #leave(flight: Flight): void {
    flight.waiting -= 1;
    if (flight.waiting > 0 || flight.isOver) return;
    const end = () => {
      if (flight.waiting === 0 && !flight.isOver) flight.aborter.abort(new Error("superseded"));
    };
    setTimeout(end, FLIGHTS.graceMs).unref();
  }
}

function joinMsOf(latencyMs: number): number {
  return latencyMs === 0 ? FLIGHTS.firstJoinMs : Math.max(FLIGHTS.joinMs, FLIGHTS.joinLatencies * latencyMs);
}

/** The newer cursor stands where typing on from the older one leads. */
function isAlong(flight: Flight, cursor: Cursor, mode: Mode, suggestions: number): boolean {
  if (flight.aborter.signal.aborted || flight.mode !== mode || flight.cursor.path !== cursor.path) return false;
  if (flight.suggestions < suggestions) return false;
  const { text, offset } = flight.cursor;
  return (
    cursor.offset >= offset &&
    cursor.text.length - cursor.offset === text.length - offset &&
    cursor.text.startsWith(text.slice(0, offset)) &&
    cursor.text.endsWith(text.slice(offset))
  );
}

function continued(landed: Completion, from: Cursor, to: Cursor): Completion | undefined {
  if (to.offset === from.offset) return landed;
  if (landed.reason !== undefined) return undefined;
  const typed = to.text.slice(from.offset, to.offset);
  const reused = { origin: "asked for before the last keystroke", typed: typed.length, account: landed };
  const [offer] = [landed, ...(landed.others ?? [])].flatMap((each) => rest(each, typed) ?? []);
  return offer === undefined ? undefined : { ...landed, ...offer, others: [], reused };
}
