// How far a download is, how fast it goes and how long it will take, in words for a notification and a terminal.
import { timeText } from "./progressText.ts";

export interface AddProgress {
  /** 0–100 of the whole; as before where it is not given. */
  readonly percent?: number;
  readonly message: string;
}

export type ReportProgress = (progress: AddProgress) => void;

/** Of the whole that ends with a prepared pack. */
export const DOWNLOAD_PERCENT = 80;

/** The rate looks back this far. */
const WINDOW_MS = 8000;
/** Nothing is said of the rate before, and nothing more often than this. */
const SETTLED_MS = 500;

export class Pace {
  readonly #total: number;
  readonly #report: ReportProgress;
  readonly #reached = new Map<string, number>();
  /** Where the window of the rate begins; it moves on in halves. Bytes that came, not those that lay there. */
  #window = { at: performance.now(), came: 0 };
  #next = this.#window;
  #came = 0;
  #saidAt = 0;

  constructor(total: number, report: ReportProgress) {
    this.#total = total;
    this.#report = report;
  }

  /** That many bytes of a file lie on the disk. */
  reached(file: string, bytes: number): void {
    const before = this.#reached.get(file);
    this.#reached.set(file, bytes);
    if (before !== undefined && bytes > before) this.#came += bytes - before;
    const now = performance.now();
    if (now - this.#saidAt < SETTLED_MS) return;
    this.#saidAt = now;
    this.#report({ percent: (DOWNLOAD_PERCENT * this.#done) / Math.max(1, this.#total), message: this.#text(now) });
  }

  get #done(): number {
    return [...this.#reached.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  #text(now: number): string {
    const megabytes = (bytes: number) => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);
    const said = `${megabytes(this.#done)} of ${megabytes(this.#total)} MB`;
    if (now - this.#next.at > WINDOW_MS / 2) {
      this.#window = this.#next;
      this.#next = { at: now, came: this.#came };
    }
    const seconds = (now - this.#window.at) / 1000;
    const rate = (this.#came - this.#window.came) / seconds;
    if (seconds * 1000 < SETTLED_MS || rate <= 0) return said;
    return `${said}, ${megabytes(rate)} MB/s, ${timeText((this.#total - this.#done) / rate)} left`;
  }
}
