// The numbers of an ONNX file's constants, read where they lie.
import { type FileHandle, open } from "node:fs/promises";
import { EngineError } from "../errors.ts";
import type { StoredConstant } from "./onnxModel.ts";

/** Opens each file once, and holds it until it is closed. */
export class ConstantReader {
  readonly #open = new Map<string, FileHandle>();

  /** `count` bytes from byte `from` on, all where nothing is said. Throws `CHECKPOINT_INVALID`. */
  async read({ name, place }: StoredConstant, from = 0, count = place?.bytes ?? 0): Promise<Uint8Array> {
    if (place === undefined)
      throw new EngineError("CHECKPOINT_INVALID", `${name} is stored in another way than plainly`);
    const handle = this.#open.get(place.file) ?? (await open(place.file, "r"));
    this.#open.set(place.file, handle);
    const bytes = new Uint8Array(count);
    for (let done = 0; done < count; ) {
      const { bytesRead } = await handle.read(bytes, done, count - done, place.offset + from + done);
      if (bytesRead === 0) throw new EngineError("CHECKPOINT_INVALID", `${place.file} ends inside ${name}`);
      done += bytesRead;
    }
    return bytes;
  }

  async close(): Promise<void> {
    for (const handle of this.#open.values()) await handle.close();
  }
}
