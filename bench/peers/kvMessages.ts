// What crosses between the benchmark and the process that runs one reader under several ways of keeping keys and values.

export interface KvStart {
  readonly threads: number;
  readonly repeats: number;
  /** Positions read before the steps are timed. */
  readonly positions: number;
  readonly shape: {
    readonly layers: number;
    readonly kvHeads: number;
    readonly headDim: number;
    readonly readerDim: number;
    readonly vocabSize: number;
  };
  readonly graphs: {
    /** Returns the new rows alone. */
    readonly rows: string;
    /** The same with int8 keys and values. */
    readonly int8: string;
    /** Returns all keys and values. */
    readonly whole: string;
  };
}

/** Milliseconds of CPU time, medians. */
export interface KvTimes {
  readonly name: string;
  /** Of all positions, in slices. */
  readonly prefill: number;
  /** Of a run of two positions behind them, as one new token takes, and of four, as a draft takes. */
  readonly token: number;
  readonly draft: number;
  /** Largest difference of a logit from the first way's, as a share of the largest logit. */
  readonly difference: number;
}

export interface KvReply {
  readonly times?: readonly KvTimes[];
  readonly error?: string;
}
