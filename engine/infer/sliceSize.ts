// How many positions one prefill run reads: as many as fit the time within which a cancelled request must stop.

/** Two thirds of what a cancel may take: later positions cost more than earlier ones. */
const TARGET_MS = 20;
/** For twice the positions of the shortest run a large reader may take this long: it gains a seventh. */
const PATIENT_MS = 50;

/** Kernels work on blocks of rows. */
const STEP = 32;
/** Runs of 32 cost a fourth to a half more time a position than runs of 128, runs of 64 a tenth to a sixth. */
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
    const fitting = (target: number) => Math.floor((target * positions) / ms / STEP) * STEP;
    const patient = Math.min(2 * LEAST, fitting(PATIENT_MS));
    const wanted = Math.max(LEAST, patient < 2 * LEAST ? 0 : patient, fitting(TARGET_MS));
    this.#positions = Math.min(MOST, wanted, 2 * this.#positions);
  }
}
