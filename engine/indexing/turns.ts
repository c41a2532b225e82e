// Who may write next. A pass over the disk is many steps; an update is one and goes between two steps of a pass, so that
// a save is searchable while a large workspace is still being read.

/** Runs what it is given one after another, in the order of the calls; a failure stays with its own caller. */
export type Turns = <T>(work: () => Promise<T>) => Promise<T>;

export function createTurns(): Turns {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const turn = last.then(work, work);
    last = turn.catch(() => {});
    return turn;
  };
}

/** Paths that updates took in since a pass began, files or whole folders. */
export class Overtaken {
  readonly #paths = new Set<string>();

  add(paths: Iterable<string>): void {
    for (const path of paths) this.#paths.add(path);
  }

  clear(): void {
    this.#paths.clear();
  }

  /** True for a path no update has spoken of. */
  isFree = (path: string): boolean => {
    if (this.#paths.size === 0) return true;
    for (let part = path; part !== ""; part = part.slice(0, Math.max(0, part.lastIndexOf("/"))))
      if (this.#paths.has(part)) return false;
    return true;
  };
}
