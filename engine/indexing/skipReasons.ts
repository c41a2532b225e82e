// Why a file or folder is not in the index: the stable words, what each means to a person, and the bounded list of what was left out.

/** Reason -> what it means, for a person. The words are a contract of the command line and the protocol. */
export const SKIP_REASONS = {
  ignored: "named by .gitignore, .precisignore, git's exclude files or the setting precis.index.exclude",
  vendored: "another's code: an installed or copied dependency; `!folder/` in .precisignore brings it back",
  generated: "written by a program: a build's output, a cache, a lock file, or marked as generated in its head",
  minified: "lines too long, or too few letters, to be written by a person",
  data: "rows, records or legal text rather than code",
  binary: "no text",
  "not-utf8": "text in another encoding than UTF-8",
  "too-large": "larger than the setting precis.index.maxFileKiB",
  secret: "holds a key, a token or a password, or is a file that does by convention",
  symlink: "a link; what it points to is indexed where it lies",
  "no-room": "untouched longest, while the index may not grow beyond the setting precis.index.maxDiskMiB",
  unreadable: "could not be read: no permission, or no regular file",
  vanished: "gone between being found and being read",
  unsupported: "of no language that is indexed",
} as const;

export type SkipReason = keyof typeof SKIP_REASONS;

export interface SkippedFile {
  /** Relative to the workspace folder; a folder stands for all it holds. */
  readonly path: string;
  readonly reason: SkipReason;
  readonly detail?: string;
}

/** Paths kept of each reason; the counts go on. */
const LISTED = 100;

/** Counts every file or folder left out in a pass, and remembers the first of each reason. */
export class SkippedList {
  readonly #counts = new Map<SkipReason, number>();
  readonly #listed: SkippedFile[] = [];

  add(skipped: SkippedFile): void {
    const count = (this.#counts.get(skipped.reason) ?? 0) + 1;
    this.#counts.set(skipped.reason, count);
    if (count <= LISTED) this.#listed.push(skipped);
  }

  get counts(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }

  /** In the order in which they were met. */
  get listed(): readonly SkippedFile[] {
    return this.#listed;
  }
}
