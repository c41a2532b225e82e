// Files that a pass read and left out for their text, with the stamps they had: they are read again once they change.
import type { Sql } from "./schema.ts";

export interface LeftOutFile {
  readonly path: string;
  /** Bytes. */
  readonly size: number;
  readonly mtimeMs: number;
  readonly reason: string;
  readonly detail: string | null;
}

const RULES_KEY = "left-out rules";

export class LeftOut {
  readonly #sql: Sql;
  readonly #change: (work: () => void) => void;

  /** `change` runs a change in a transaction. */
  constructor(sql: Sql, change: (work: () => void) => void) {
    this.#sql = sql;
    this.#change = change;
  }

  /** None where other rules left them out. */
  filesBy(rules: number): LeftOutFile[] {
    if (this.#rules() !== rules) return [];
    return this.#sql
      .prepare("SELECT path, size, mtime_ms AS mtimeMs, reason, detail FROM left_out ORDER BY path")
      .all() as LeftOutFile[];
  }

  /** Those of a whole pass in place of those before. */
  replace(rules: number, files: readonly LeftOutFile[]): void {
    this.#change(() => {
      this.#sql.exec("DELETE FROM left_out");
      const put = this.#sql.prepare(
        "INSERT INTO left_out (path, size, mtime_ms, reason, detail) VALUES (?, ?, ?, ?, ?)",
      );
      for (const { path, size, mtimeMs, reason, detail } of files) put.run(path, size, mtimeMs, reason, detail);
      this.#sql.prepare("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)").run(RULES_KEY, String(rules));
    });
  }

  #rules(): number {
    return Number(this.#sql.prepare("SELECT value FROM meta WHERE key = ?").pluck().get(RULES_KEY) ?? -1);
  }
}
