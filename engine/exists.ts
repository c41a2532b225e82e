// Whether a file or folder is there.
import { stat } from "node:fs/promises";
import { errnoOf } from "./errors.ts";

/** Throws where it cannot be told, such as without permission. */
export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return false;
    throw error;
  }
}
