// How many positions one prefill run reads: as many as fit the time within which a cancelled request must stop.

/** Half of what a person may wait for a cancel: later positions cost more than earlier ones. */
const TARGET_MS = 15;

/** Kernels work on blocks of rows; shorter runs waste them, and longer ones gain nothing. */
const STEP = 32;
const MOST = 256;

export class SliceSize {
  #positions = 2 * STEP;

  get positions(): number {
    return this.#positions;
  }

  /** A run of `positions` took `ms`. Short runs say little and are not counted. */
  took(positions: number, ms: number): void {
    if (positions < STEP) return;
    const fitting = Math.floor((TARGET_MS * positions) / ms / STEP) * STEP;
    this.#positions = Math.min(MOST, Math.max(STEP, Math.min(fitting, 2 * this.#positions)));
  }
}
