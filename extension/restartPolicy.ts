// When a dead engine is started again: after pauses that double, at most four times; a minute of health forgets the past.

export const PAUSES_MS: readonly number[] = [500, 1000, 2000, 4000];
export const HEALTHY_AFTER_MS = 60_000;

export interface RestartPolicy {
  /** The engine answered the handshake. */
  started(now: number): void;
  /** Milliseconds to wait before the next start, or `undefined` when it is time to ask the person. */
  died(now: number): number | undefined;
  /** A person asked for a start: begin counting anew. */
  forget(): void;
}

export function createRestartPolicy(): RestartPolicy {
  let deaths = 0;
  let startedAt: number | undefined;
  return {
    started(now) {
      startedAt = now;
    },
    died(now) {
      if (startedAt !== undefined && now - startedAt >= HEALTHY_AFTER_MS) deaths = 0;
      startedAt = undefined;
      const pause = PAUSES_MS[deaths];
      deaths += 1;
      return pause;
    },
    forget() {
      deaths = 0;
    },
  };
}
