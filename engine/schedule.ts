// The one gate in front of inference: completions before indexing, one job at a time.

export type Priority = "completion" | "indexing";

interface Waiting {
  readonly start: () => void;
}

/** One job runs at a time; a waiting completion always goes before waiting indexing. Running jobs are not interrupted. */
export class Schedule {
  readonly #waiting: Record<Priority, Waiting[]> = { completion: [], indexing: [] };
  #busy = false;

  /** Runs `job` when its turn comes. Rejects with the signal's reason if it is aborted while waiting. */
  async run<T>(priority: Priority, job: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    await this.#turn(priority, signal);
    try {
      return await job();
    } finally {
      this.#busy = false;
      this.#next();
    }
  }

  #turn(priority: Priority, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (!this.#busy) {
      this.#busy = true;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const queue = this.#waiting[priority];
      const entry: Waiting = {
        start: () => {
          signal?.removeEventListener("abort", onAbort);
          this.#busy = true;
          resolve();
        },
      };
      const onAbort = () => {
        const at = queue.indexOf(entry);
        if (at >= 0) queue.splice(at, 1);
        reject(signal?.reason);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      queue.push(entry);
    });
  }

  #next(): void {
    const entry = this.#waiting.completion.shift() ?? this.#waiting.indexing.shift();
    entry?.start();
  }
}
