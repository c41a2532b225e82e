// When a request to a hub is made again, after how long, and when it is given up.
import { setTimeout as sleep } from "node:timers/promises";
import { EngineError } from "../errors.ts";
import { RequestFailed } from "./connection.ts";

export interface Patience {
  /** Requests in a row that bring nothing. */
  readonly attempts: number;
  /** Before the second attempt; twice as long before each further one. */
  readonly pauseMs: number;
  /** The longest pause a server may ask for. */
  readonly longestMs: number;
  /** Without a byte. */
  readonly stallMs: number;
}

export const PATIENCE: Patience = { attempts: 6, pauseMs: 1000, longestMs: 300_000, stallMs: 30_000 };

export interface Waiting {
  readonly patience: Patience;
  readonly signal: AbortSignal;
  /** Why it waits and for how long, before it does. */
  readonly onWait?: (why: string, ms: number) => void;
}

/** Repeats `work` while it fails with what may pass. Rejects with the signal's reason when aborted. */
export async function insist<T>(work: () => Promise<T>, waiting: Waiting): Promise<T> {
  for (let failures = 1; ; failures += 1) {
    try {
      return await work();
    } catch (error) {
      await waitAfter(error, failures, waiting);
    }
  }
}

/** Resolves when it is time for another attempt after `failures` in a row; throws what a person is to be told where none is worth it. */
export async function waitAfter(error: unknown, failures: number, waiting: Waiting): Promise<void> {
  const { patience, signal, onWait } = waiting;
  if (signal.aborted) throw signal.reason;
  if (!(error instanceof RequestFailed)) throw error;
  if (!error.isRepeatable || failures >= patience.attempts) throw error.error;
  const asked = error.waitMs ?? 0;
  if (asked > patience.longestMs)
    throw new EngineError("HUB_BUSY", `${error.error.message}; it asks to wait ${Math.round(asked / 1000)} s`);
  const ms = Math.max(asked, patience.pauseMs * 2 ** (failures - 1));
  onWait?.(error.error.message, ms);
  await sleep(ms, undefined, { signal }).catch(() => {
    throw signal.reason;
  });
}
