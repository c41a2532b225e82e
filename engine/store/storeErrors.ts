// What SQLite and the file system throw, as the engine names it.
import { EngineError, messageOf } from "../errors.ts";

export function guard<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw translated(error);
  }
}

export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

export function isDamage(error: unknown): boolean {
  return /^SQLITE_(CORRUPT|NOTADB)/.test(codeOf(error));
}

/** A database's or file system's failure as the engine names it; anything else is a bug and stays what it is. */
export function translated(error: unknown): unknown {
  const code = codeOf(error);
  const detail = `${code}: ${messageOf(error)}`;
  if (isDamage(error)) return new EngineError("STORE_CORRUPT", detail, { cause: error });
  if (/^SQLITE_(BUSY|LOCKED)/.test(code)) return new EngineError("STORE_LOCKED", detail, { cause: error });
  if (/^(SQLITE_(FULL|IOERR|READONLY|CANTOPEN)|E[A-Z]+$)/.test(code)) {
    return new EngineError("STORE_UNWRITABLE", detail, { cause: error });
  }
  return error;
}
