// Keys and values that stay on the device: what a run gives is the next run's input. Rows behind the read prefix are
// overwritten, so rewinding is free here too.
import type { ReaderInput } from "../domain.ts";
import type { KeyValues, KvShape } from "./kvCache.ts";
import { ReadPrefix } from "./readPrefix.ts";
import type { DeviceTensor, Session, Tensor } from "./session.ts";

export class DeviceKvCache implements KeyValues {
  readonly #shape: KvShape;
  readonly #read: ReadPrefix;
  /** By the graph's output name, `[1, kvHeads, at least length, headDim]`; undefined before the first run. */
  #present: Readonly<Record<string, DeviceTensor>> | undefined;

  constructor(shape: KvShape) {
    this.#shape = shape;
    this.#read = new ReadPrefix(shape.readerDim);
  }

  get length(): number {
    return this.#read.length;
  }

  sharedWith(input: ReaderInput): number {
    return this.#read.sharedWith(input);
  }

  rewindTo(input: ReaderInput): number {
    return this.#read.rewindTo(input);
  }

  truncate(length: number): void {
    this.#read.truncate(length);
  }

  async run(
    session: Session,
    feeds: Readonly<Record<string, Tensor>>,
    count: number,
    tokens: readonly number[],
  ): Promise<Readonly<Record<string, Tensor>>> {
    const { results, kept } = await session.runOnDevice({ ...feeds, ...this.#past() });
    this.close();
    this.#present = kept;
    this.#read.extend(count, tokens);
    return results;
  }

  pass(): undefined {
    return undefined;
  }

  close(): void {
    for (const tensor of Object.values(this.#present ?? {})) tensor.dispose();
    this.#present = undefined;
  }

  #past(): Record<string, Tensor | DeviceTensor> {
    const { layers, kvHeads, headDim } = this.#shape;
    const nothing: Tensor = { data: new Float32Array(0), dims: [1, kvHeads, 0, headDim] };
    const past: Record<string, Tensor | DeviceTensor> = {};
    for (let layer = 0; layer < layers; layer += 1) {
      for (const part of ["key", "value"])
        past[`past_key_values.${layer}.${part}`] = this.#present?.[`present.${layer}.${part}`] ?? nothing;
    }
    return past;
  }
}
