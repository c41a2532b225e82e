// Per-request record of what happened and how long it took; feeds `explain`, the status and `bench`.

/** Collects named durations and facts of one request. Time is read from `performance.now`. */
export class Trace {
  readonly stages: Record<string, number> = {};
  readonly facts: Record<string, string | number> = {};
  readonly #started = performance.now();

  /** Runs `work` and adds its duration to `stage`. */
  async time<T>(stage: string, work: () => Promise<T> | T): Promise<T> {
    const from = performance.now();
    try {
      return await work();
    } finally {
      this.stages[stage] = (this.stages[stage] ?? 0) + performance.now() - from;
    }
  }

  /** Milliseconds spent in `stage`; 0 where it was not entered. */
  ms(stage: string): number {
    return this.stages[stage] ?? 0;
  }

  note(name: string, value: string | number): void {
    this.facts[name] = value;
  }

  /** Milliseconds since the trace was made. */
  elapsedMs(): number {
    return performance.now() - this.#started;
  }
}
