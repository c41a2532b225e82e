// Keeps a store within `index.maxDiskMiB`: numbers in fewer bytes first, then the files untouched longest go. What is done
// depends on the store and the budget alone, and is undone as far as it can be when there is room again.
import { setImmediate } from "node:timers/promises";
import type { Problem } from "../errors.ts";
import type { Store } from "../store/store.ts";

/** Ids whose numbers are converted in one transaction: a few milliseconds. */
const CONVERTED = 256;
/** Files dropped in one transaction. */
const DROPPED = 8;

/** Shares of the budget: dropping goes on down to the one, what was given up comes back below the other. */
const DROP_TO = 0.95;
const COME_BACK_BELOW = 0.7;

export class DiskBudget {
  readonly #store: Store;
  readonly #maxBytes: number;
  /** The store's step that all rows are known to have. */
  #converted = -1;

  constructor(store: Store, maxMiB: number) {
    this.#store = store;
    this.#maxBytes = maxMiB * 2 ** 20;
  }

  /** Before a pass: where the budget has room again, the pass reads anew what was coarsened or dropped. */
  relax(): void {
    const { room } = this.#store;
    const limit = this.#maxBytes * COME_BACK_BELOW;
    for (let step = 0; step < room.step; step += 1) {
      const grown = room.nodes * (room.bytesPerNode(step) - room.bytesPerNode(room.step));
      if (room.usedBytes + grown > limit) continue;
      room.takeStep(step);
      break;
    }
    if (room.droppedFiles > 0 && room.usedBytes <= limit) room.takeBackDropped();
  }

  /** Coarsens numbers while the store is too large. Goes on with what another pass began. */
  async tighten(signal?: AbortSignal): Promise<void> {
    const { room } = this.#store;
    for (;;) {
      if (this.#converted !== room.step) await this.#convert(signal);
      if (room.usedBytes <= this.#maxBytes || !room.hasCoarserStep) return;
      room.takeCoarserStep();
    }
  }

  /** After a pass: drops files where coarsening was not enough. Directories above them are stale afterwards. */
  async drop(signal?: AbortSignal): Promise<void> {
    const { room } = this.#store;
    if (room.usedBytes <= this.#maxBytes) return;
    this.#store.tidy(0);
    while (room.usedBytes > this.#maxBytes * DROP_TO) {
      signal?.throwIfAborted();
      const paths = room.oldestFiles(DROPPED);
      if (paths.length === 0) break;
      room.drop(paths);
      await setImmediate();
    }
  }

  problems(): Problem[] {
    const { droppedFiles } = this.#store.room;
    if (droppedFiles === 0) return [];
    const mebibytes = this.#maxBytes / 2 ** 20;
    const detail = `${droppedFiles} files untouched longest are not in the index, which may take ${mebibytes} MiB (precis.index.maxDiskMiB)`;
    return [{ code: "FILES_DROPPED", detail }];
  }

  async #convert(signal: AbortSignal | undefined): Promise<void> {
    const { room } = this.#store;
    const { step } = room;
    for (let from = 0; step > 0 && from < room.highestId; from += CONVERTED) {
      signal?.throwIfAborted();
      room.convert(from, from + CONVERTED);
      await setImmediate();
    }
    this.#converted = step;
  }
}
