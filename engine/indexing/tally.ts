// What one indexing pass did, counted while it runs; the report the command line prints.
import type { Level } from "../domain.ts";
import type { Problem } from "../errors.ts";
import type { StoreStats } from "../store/store.ts";
import type { EmbeddedFile } from "./embed.ts";
import { type SkippedFile, SkippedList, type SkipReason } from "./skipReasons.ts";

export interface IndexReport {
  readonly files: number;
  readonly chunks: number;
  readonly nodes: number;
  readonly levels: Readonly<Record<Level, number>>;
  /** Chunks that needed no encoder. */
  readonly reused: number;
  readonly embedded: number;
  /** Files, directories and repository whose vector was computed. */
  readonly fused: number;
  /** Reason -> files and folders left out. */
  readonly skipped: Readonly<Record<string, number>>;
  /** The first hundred of each reason. */
  readonly skippedFiles: readonly SkippedFile[];
  readonly seconds: number;
  /** Files whose nodes went for want of room. */
  readonly droppedFiles: number;
  readonly dbBytes: number;
  readonly problems: readonly Problem[];
}

/** Reasons a person may want to know of; the others are as they wished. */
const PROBLEMS: Partial<Record<SkipReason, Problem["code"]>> = {
  binary: "FILE_BINARY",
  minified: "FILE_MINIFIED",
  "too-large": "FILE_TOO_LARGE",
  secret: "FILE_SECRET",
  unreadable: "FILE_UNREADABLE",
  "not-utf8": "FILE_NOT_UTF8",
  vanished: "FILE_VANISHED",
  symlink: "LINK_SKIPPED",
};

export class Tally {
  embedded = 0;
  reused = 0;
  fused = 0;
  readonly problems: Problem[] = [];
  readonly #skipped = new SkippedList();
  readonly #startedAt = performance.now();

  skip(skipped: SkippedFile): void {
    const { path, reason, detail = reason } = skipped;
    this.#skipped.add(skipped);
    const code = PROBLEMS[reason];
    if (code !== undefined) this.problems.push({ code, detail, path });
  }

  /** A file that was stored: its chunks and its own node. */
  add({ file, chunks, embedded }: EmbeddedFile): void {
    this.embedded += embedded;
    this.reused += chunks.length - embedded;
    if (chunks.length > 0) this.fused += 1;
    this.problems.push(...file.problems);
  }

  report(stats: StoreStats): IndexReport {
    return {
      ...stats,
      // Chunks of files that did not change were reused without being looked at.
      reused: stats.chunks - Math.min(stats.chunks, this.embedded),
      embedded: this.embedded,
      fused: this.fused,
      skipped: this.#skipped.counts,
      skippedFiles: this.#skipped.listed,
      seconds: (performance.now() - this.#startedAt) / 1000,
      problems: this.problems,
    };
  }
}
