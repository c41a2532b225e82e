// A decoder's pass over a few rows. Each thread has its share of an operation's tasks and takes those that others have not begun,
// so that none waits for a thread that sleeps. Every number is summed in one order, whoever computes it and however many rows a pass has.
import { attend, keep, QUERY_TOP } from "./attention.as";
import { merge, summarise } from "./best.as";
import { levels, normedLevels, shorten } from "./levels.as";
import {
  ACTIVE,
  ASKED,
  BEST,
  BEST_BYTES,
  CHUNK,
  COS,
  COUNTER_BYTES,
  COUNTERS,
  DIM,
  FFN,
  FINISHED,
  GENERATION,
  HEAD_DIM,
  HEADS,
  HEADS_A_TASK,
  HEARD,
  KIND,
  KV_HEADS,
  LAYER_OPERATIONS,
  LAYER_WORDS,
  LAYERS,
  LOGITS,
  OPEN,
  PAST,
  PLAN,
  QKV,
  QUERY_SCALE,
  RESTING,
  ROWS,
  SCRATCH,
  SCRATCH_BYTES,
  SIN,
  TABLE,
  THREADS,
  VOCAB,
  WIDE,
  X,
} from "./plan";
import { multiply } from "./products.as";
import { exp4 } from "./vectors.as";
import { word } from "./word.as";

export { keepRows } from "./attention.as";
export { writeConstants } from "./vectors.as";

/** How often a helper looks for the next pass before it sleeps: about half a millisecond, longer than the engine needs between two. */
const LOOKS: i32 = 1000000;

/**
 * How often a thread looks for another's task to end before it gives way, and for how many nanoseconds: who has that task may be
 * waiting for this core.
 */
const PATIENCE: i32 = 20000;
const REST: i64 = 50000;

/** Takes part in every pass, until the counter of passes is negative. */
export function help(thread: i32): void {
  let seen = 0;
  while (true) {
    let looks = LOOKS;
    while (looks > 0 && atomic.load<i32>(GENERATION) == seen) looks--;
    if (looks == 0) atomic.wait<i32>(GENERATION, seen, -1);
    seen = atomic.load<i32>(GENERATION);
    if (seen < 0) return;
    // Counted before it looks again: a new pass begins only when nobody is counted.
    atomic.add<i32>(ACTIVE, 1);
    if (atomic.load<i32>(OPEN) == 1) pass(thread);
    atomic.sub<i32>(ACTIVE, 1);
  }
}

/** One pass over the plan's rows, with every helper that wakes in time. */
export function run(): void {
  for (let looks = 0; atomic.load<i32>(ACTIVE) != 0; looks++) if (looks > PATIENCE) rest();
  memory.fill(word(COUNTERS), 0, (word(LAYERS) * LAYER_OPERATIONS + 1) * COUNTER_BYTES);
  atomic.store<i32>(OPEN, 1);
  atomic.add<i32>(GENERATION, 1);
  atomic.notify(GENERATION, -1);
  pass(0);
  atomic.store<i32>(OPEN, 0);
  const chunks = (word(VOCAB) + CHUNK - 1) / CHUNK;
  const best = <usize>word(BEST);
  for (let t = 0; t < word(ASKED); t++) merge(best + <usize>(t * chunks * BEST_BYTES), chunks, best + <usize>(t * BEST_BYTES));
}

function pass(thread: i32): void {
  const layers = word(LAYERS);
  const heads = word(HEADS);
  const width = heads * word(HEAD_DIM);
  const dim = word(DIM);
  const ffn = word(FFN);
  const rows = word(ROWS);
  const kind = word(KIND);
  const x = <usize>word(X);
  const floats = <usize>word(SCRATCH) + <usize>thread * <usize>word(SCRATCH_BYTES);
  const quantised = floats + <usize>(rows * max(max(dim, ffn), width)) * 4;
  let operation: i32 = 0;
  for (let layer = 0; layer < layers; layer++) {
    const table = <usize>word(TABLE) + <usize>(layer * LAYER_WORDS) * 4;
    normedLevels(x, load<u32>(table, 60), dim, rows, floats, quantised, kind);
    const all = heads + 2 * word(KV_HEADS);
    for (let task = claim(operation, all, thread); task >= 0; task = claim(operation, all, thread)) {
      project(layer, task, quantised, table);
      finish(operation);
    }
    operation = settle(operation, all);
    const each = word(HEADS_A_TASK);
    const parts = heads / each;
    for (let task = claim(operation, parts, thread); task >= 0; task = claim(operation, parts, thread)) {
      attend(layer, task * each, each, floats);
      finish(operation);
    }
    operation = settle(operation, parts);
    levels(<usize>word(HEARD), width, rows, quantised, kind);
    operation = addTo(operation, x, dim, width, rows, quantised, table + 12, kind, thread);
    normedLevels(x, load<u32>(table, 64), dim, rows, floats, quantised, kind);
    const chunks = (ffn + CHUNK - 1) / CHUNK;
    for (let task = claim(operation, chunks, thread); task >= 0; task = claim(operation, chunks, thread)) {
      widen(task * CHUNK, min(ffn, task * CHUNK + CHUNK), quantised, table, floats);
      finish(operation);
    }
    operation = settle(operation, chunks);
    levels(<usize>word(WIDE), ffn, rows, quantised, kind);
    operation = addTo(operation, x, dim, ffn, rows, quantised, table + 48, kind, thread);
  }
  const table = <usize>word(TABLE) + <usize>(layers * LAYER_WORDS) * 4;
  const vocab = word(VOCAB);
  const asked = word(ASKED);
  normedLevels(x + <usize>((rows - asked) * dim) * 4, load<u32>(table, 12), dim, asked, floats, quantised, kind);
  const chunks = (vocab + CHUNK - 1) / CHUNK;
  for (let task = claim(operation, chunks, thread); task >= 0; task = claim(operation, chunks, thread)) {
    const from = task * CHUNK, until = min(vocab, from + CHUNK);
    multiply(quantised, asked, dim, table, from, until, <usize>word(LOGITS), vocab, kind);
    for (let t = 0; t < asked; t++)
      summarise(<usize>word(LOGITS) + <usize>(t * vocab) * 4, from, until, <usize>word(BEST) + <usize>((t * chunks + task) * BEST_BYTES));
    finish(operation);
  }
  settle(operation, chunks);
}

@inline
function counter(operation: i32): usize {
  return <usize>word(COUNTERS) + <usize>operation * COUNTER_BYTES;
}

/** A task of `thread`'s share, then one of another's; -1: none is left. Tasks beside one another read memory in one stream. */
function claim(operation: i32, tasks: i32, thread: i32): i32 {
  const threads = word(THREADS);
  for (let n = 0; n < threads; n++) {
    const share = (thread + n) % threads;
    const from = (tasks * share) / threads;
    const count = (tasks * (share + 1)) / threads - from;
    const claimed = counter(operation) + <usize>share * 4;
    if (atomic.load<i32>(claimed) >= count) continue;
    const task = atomic.add<i32>(claimed, 1);
    if (task < count) return from + task;
  }
  return -1;
}

@inline
function finish(operation: i32): void {
  atomic.add<i32>(counter(operation), 1, FINISHED);
}

/** Waits for the tasks that others have claimed; answers the next operation. */
@inline
function settle(operation: i32, tasks: i32): i32 {
  for (let looks = 0; atomic.load<i32>(counter(operation), FINISHED) < tasks; looks++) if (looks > PATIENCE) rest();
  return operation + 1;
}

/** Nobody wakes who rests. */
function rest(): void {
  atomic.wait<i32>(RESTING, 0, REST);
}

/** `x += input @ matrix`. */
function addTo(
  operation: i32,
  x: usize,
  dim: i32,
  inputs: i32,
  rows: i32,
  quantised: usize,
  matrix: usize,
  kind: i32,
  thread: i32,
): i32 {
  const chunks = (dim + CHUNK - 1) / CHUNK;
  // Nobody reads the queries now, and every task has its own columns.
  const products = <usize>word(QKV);
  for (let task = claim(operation, chunks, thread); task >= 0; task = claim(operation, chunks, thread)) {
    const from = task * CHUNK;
    const until = min(dim, from + CHUNK);
    multiply(quantised, rows, inputs, matrix, from, until, products, dim, kind);
    for (let t = 0; t < rows; t++) {
      const at = <usize>(t * dim) * 4;
      for (let n = <usize>from * 4; n < <usize>until * 4; n += 16)
        v128.store(x + at + n, f32x4.add(v128.load(x + at + n), v128.load(products + at + n)));
    }
    finish(operation);
  }
  return settle(operation, chunks);
}

/** Some outputs of gate and up: SwiGLU of them. */
function widen(from: i32, until: i32, quantised: usize, table: usize, floats: usize): void {
  const dim = word(DIM);
  const ffn = word(FFN);
  const rows = word(ROWS);
  const kind = word(KIND);
  const wide = <usize>word(WIDE);
  multiply(quantised, rows, dim, table + 24, from, until, wide, ffn, kind);
  multiply(quantised, rows, dim, table + 36, from, until, floats, ffn, kind);
  const one = f32x4.splat(1);
  for (let t = 0; t < rows; t++) {
    for (let n = <usize>(t * ffn + from) * 4; n < <usize>(t * ffn + until) * 4; n += 16) {
      const gate = v128.load(wide + n);
      const silu = f32x4.div(gate, f32x4.add(one, exp4(f32x4.neg(gate))));
      v128.store(wide + n, f32x4.mul(silu, v128.load(floats + n)));
    }
  }
}

/** One head of queries, keys or values: queries and keys are turned, keys and values go to the cache. */
function project(layer: i32, task: i32, quantised: usize, table: usize): void {
  const heads = word(HEADS);
  const kvHeads = word(KV_HEADS);
  const headDim = word(HEAD_DIM);
  const rows = word(ROWS);
  const past = word(PAST);
  const width = (heads + 2 * kvHeads) * headDim;
  const first = task * headDim;
  multiply(quantised, rows, word(DIM), table, first, first + headDim, word(QKV), width, word(KIND));
  const half = <usize>(headDim / 2) * 4;
  const scale = f32x4.splat(task < heads ? load<f32>(PLAN + (QUERY_SCALE << 2)) : 1);
  for (let t = 0; t < rows; t++) {
    const own = <usize>word(QKV) + <usize>(t * width + first) * 4;
    if (task < heads + kvHeads) {
      const cos = <usize>word(COS) + <usize>(past + t) * half;
      const sin = <usize>word(SIN) + <usize>(past + t) * half;
      for (let n: usize = 0; n < half; n += 16) {
        const a = v128.load(own + n);
        const b = v128.load(own + n + half);
        const c = v128.load(cos + n);
        const s = v128.load(sin + n);
        v128.store(own + n, f32x4.mul(scale, f32x4.sub(f32x4.mul(a, c), f32x4.mul(b, s))));
        v128.store(own + n + half, f32x4.mul(scale, f32x4.add(f32x4.mul(b, c), f32x4.mul(a, s))));
      }
    }
    if (task < heads) store<f32>(own + <usize>headDim * 2, shorten(own, own, headDim, QUERY_TOP));
    else keep(layer, task - heads, past + t, own);
  }
}
