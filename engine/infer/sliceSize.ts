// How many positions one prefill run reads: as many as fit the time within which a cancelled request must stop.

/** Kernels work on blocks of rows. */
const STEP = 32;
/** Runs of 32 cost a fourth to a half more time a position than runs of 128, runs of 64 a tenth to a sixth. */
const LEAST = 2 * STEP;
/** Longer ones gain nothing. */
const MOST = 256;

/** Numbers in a layer's matrices, by the reader's width squared. */
const LAYER = 12;
const SMALL_READER = 20e6;
/** Half of what a cancel may take: later positions cost more than earlier ones, and a busy neighbour slows a run that has begun. */
const SMALL_READER_MS = 14;
/** Runs of 256 cost a fourteenth less than runs of 128, and most of what a cancelled request has read the next one needs too. */
const LARGE_READER_MS = 90;

export class SliceSize {
  readonly #targetMs: number;
  #positions = LEAST;

  constructor({ layers, readerDim }: { readonly layers: number; readonly readerDim: number }) {
    this.#targetMs = LAYER * layers * readerDim ** 2 < SMALL_READER ? SMALL_READER_MS : LARGE_READER_MS;
  }

  /** Positions of the next run where `left` are to be read: of as few runs as can be, all alike. No single row is left over. */
  of(left: number): number {
    const runs = Math.ceil((left - 1) / this.#positions);
    if (runs <= 1) return left;
    return Math.min(this.#positions, Math.ceil(left / runs / STEP) * STEP);
  }

  /** A run of `positions` took `ms`. Short runs say little and are not counted. */
  took(positions: number, ms: number): void {
    if (positions < STEP) return;
    const fitting = Math.floor((this.#targetMs * positions) / ms / STEP) * STEP;
    this.#positions = Math.min(MOST, Math.max(LEAST, fitting), 2 * this.#positions);
  }
}
