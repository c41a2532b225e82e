// How many positions one prefill run reads: as many as fit the time within which a cancelled request must stop.

/** Two thirds of what a cancel may take: later positions cost more than earlier ones. */
const TARGET_MS = 20;

/** Kernels work on blocks of rows. */
const STEP = 32;
/** Runs of 32 cost a fourth to a half more time a position than runs of 128, runs of 64 a tenth. */
const LEAST = 2 * STEP;
/** Longer ones gain nothing. */
const MOST = 256;

export class SliceSize {
  #positions = LEAST;

  get positions(): number {
    return this.#positions;
  }

  /** A run of `positions` took `ms`. Short runs say little and are not counted. */
  took(positions: number, ms: number): void {
    if (positions < STEP) return;
    const fitting = Math.floor((TARGET_MS * positions) / ms / STEP) * STEP;
    this.#positions = Math.min(MOST, Math.max(LEAST, Math.min(fitting, 2 * this.#positions)));
  }
}
