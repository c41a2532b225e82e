// How far a pass is, how fast it goes and how long it will take, told file by file.

/** Shown by the editor and the command line; `EngineStatus.indexing` carries the same numbers to the editor. */
export interface IndexProgress {
  /** Stored, or found unchanged. */
  readonly filesDone: number;
  readonly filesTotal: number;
  /** The file just done; `""` at the end. */
  readonly currentPath: string;
  /** Over the last seconds; 0 before anything is known. */
  readonly filesPerSecond: number;
  /** Undefined before anything is known. */
  readonly secondsLeft: number | undefined;
}

/** The rate looks back this far. */
const WINDOW_MS = 10_000;

/** Nothing is said of the rate before. */
const SETTLED_MS = 500;

export class Pace {
  readonly #filesTotal: number;
  readonly #tell: (progress: IndexProgress) => void;
  readonly #startedAt = performance.now();
  #filesDone = 0;
  /** Where the window of the rate begins; it moves on in halves. */
  #window = { at: this.#startedAt, filesDone: 0 };
  #next = this.#window;

  constructor(filesTotal: number, tell: (progress: IndexProgress) => void = () => {}) {
    this.#filesTotal = filesTotal;
    this.#tell = tell;
    this.#say("");
  }

  done(path: string): void {
    this.#filesDone += 1;
    this.#say(path);
  }

  end(): void {
    this.#filesDone = this.#filesTotal;
    this.#say("");
  }

  #say(currentPath: string): void {
    const now = performance.now();
    if (now - this.#next.at > WINDOW_MS / 2) {
      this.#window = this.#next;
      this.#next = { at: now, filesDone: this.#filesDone };
    }
    const isSettled = now - this.#startedAt > SETTLED_MS;
    const filesPerSecond = isSettled
      ? ((this.#filesDone - this.#window.filesDone) * 1000) / Math.max(1, now - this.#window.at)
      : 0;
    const filesLeft = this.#filesTotal - this.#filesDone;
    this.#tell({
      filesDone: this.#filesDone,
      filesTotal: this.#filesTotal,
      currentPath,
      filesPerSecond,
      secondsLeft: filesLeft === 0 ? 0 : filesPerSecond > 0 ? filesLeft / filesPerSecond : undefined,
    });
  }
}
