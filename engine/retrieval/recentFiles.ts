// Which files of a workspace a person opened or edited last. Kept in memory for one session; whoever hears of documents
// tells it, retrievers read it.

/** More would be what the person has left behind. */
const REMEMBERED = 16;

export class RecentFiles {
  #paths: readonly string[] = [];

  /** The file was opened or edited just now. */
  touch(path: string): void {
    if (this.#paths[0] === path) return;
    this.#paths = [path, ...this.#paths.filter((known) => known !== path)].slice(0, REMEMBERED);
  }

  /** Latest first. */
  get paths(): readonly string[] {
    return this.#paths;
  }
}
