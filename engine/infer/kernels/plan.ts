// Where the kernels' plan lies in the memory they share with the engine, word by word; read by both sides.

/** Counter of passes; helpers wait for it to grow. Negative: they end. */
export const GENERATION = 512;
/** 1 while a pass takes helpers. */
export const OPEN = 576;
/** Helpers inside a pass. */
export const ACTIVE = 640;
/** Always 0. */
export const RESTING = 704;
/** Constants that loops read: written as literals, the compiler would make them anew at every use. */
export const CONSTANTS = 2048;
/** First word of the plan. */
export const PLAN = 1024;
/** What is placed by size comes after all this. */
export const FREE = 4096;

/** Words of the plan. Sizes of the reader: */
export const LAYERS = 0;
export const HEADS = 1;
export const KV_HEADS = 2;
export const HEAD_DIM = 3;
export const DIM = 4;
export const FFN = 5;
export const VOCAB = 6;
/** float32. */
export const EPSILON = 7;
/** How its matrices are stored. */
export const KIND = 8;
/** Of a pass: its rows, the positions before them, and of how many of the last rows logits are wanted. */
export const ROWS = 9;
export const PAST = 10;
export const ASKED = 11;
/** The cache of a pass: its address, bytes of a layer, positions it has room for. */
export const KV = 12;
export const KV_LAYER = 13;
export const CAPACITY = 14;
/** Addresses of float32 rows. */
export const X = 15;
export const QKV = 16;
export const HEARD = 17;
export const WIDE = 18;
export const LOGITS = 19;
/** Rope's tables, `[positions, headDim / 2]`. */
export const COS = 20;
export const SIN = 21;
/** Of each operation: how many tasks of each thread's share are claimed and, `FINISHED` bytes on, how many of all are done. */
export const COUNTERS = 22;
/** A part for each thread. */
export const SCRATCH = 23;
export const SCRATCH_BYTES = 24;
/** Addresses of the weights, `LAYER_WORDS` a layer, then the head's matrix and the last norm. */
export const TABLE = 25;
/** Query heads of one task of attention. */
export const HEADS_A_TASK = 26;
/** float32: what queries are multiplied by. */
export const QUERY_SCALE = 27;

export const THREADS = 28;
/** What is likeliest: `BEST_BYTES` for each row whose logits are wanted, made of as many for each of its chunks of outputs. */
export const BEST = 29;

/** Outputs of a task. */
export const CHUNK = 64;
/** Two ids, their logits, and the sum of e^(logit - the larger). */
export const BEST_BYTES = 20;

export const COUNTER_BYTES = 128;
export const FINISHED = 64;
/** As many counters as lie before `FINISHED`, and fewer: more threads wait for memory and for one another. */
export const MOST_THREADS = 8;
/** qkv, o, gate, up, down: levels, scales and bias (0: none) of each; then the norms before attention and before the MLP. */
export const LAYER_WORDS = 17;
/** Operations of a layer; the head is one more. */
export const LAYER_OPERATIONS = 5;

/** Inputs that share a scale. */
export const BLOCK = 32;
/**
 * Outputs whose weights lie together, block by block: four inputs' levels of each, the next four's, and so on; in `Q4` a byte holds
 * two inputs', the even one's below. Then a scale of each, half precision or float32; `INT8` has a scale for an output.
 */
export const GROUP = 8;

/** Positions that are weighed together; a cache has room for a multiple of them. */
export const PADDING = 8;

/** Kinds of matrices, and bytes of a group's block. */
export const Q4 = 0;
export const Q8 = 1;
export const INT8 = 2;
export const Q4_BYTES = 144;
export const Q8_BYTES = 288;
export const INT8_BYTES = 256;
/** `int8` levels are stored this much above what they are. */
export const INT8_ZERO = 64;
/**
 * A half's bits where float32 has its own are 2 ** -112 times the half's number. The scales of `Q4` rows are larger by the first of
 * these powers and their sums by the second, so that no product on the way is too large or too small for float32.
 */
export const ROW_POWER = 64;
export const SUM_POWER = 48;
