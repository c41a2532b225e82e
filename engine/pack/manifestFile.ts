// A manifest's JSON, of a pack or of an add-on.
import { readFile } from "node:fs/promises";
import { EngineError, type EngineErrorCode, messageOf } from "../errors.ts";

/** What `file` holds, unchecked. Throws `codes.missing` where it cannot be read, `codes.corrupt` where it is not JSON. */
export async function readManifestFile(
  file: string,
  codes: { readonly missing: EngineErrorCode; readonly corrupt: EngineErrorCode },
): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    throw new EngineError(codes.missing, `${file} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new EngineError(codes.corrupt, `${file} is not JSON: ${messageOf(error)}`, { cause: error });
  }
}
