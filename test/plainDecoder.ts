// The Qwen2 decoder (arXiv 2407.10671, section 2.2) written down as plainly as it can be, to check graphs against.
import type { Checkpoint, Qwen2Shape } from "../engine/pack/checkpoint.ts";

type Rows = Float32Array[];

/** `rows` `[T, readerDim]` -> logits `[T, vocabSize]`. */
export async function plainLogits(
  shape: Qwen2Shape,
  checkpoint: Checkpoint,
  rows: Float32Array,
): Promise<Float32Array> {
  const { readerDim, vocabSize, heads, kvHeads, headDim, ffnDim } = shape;
  const vector = (name: string, size: number) => checkpoint.read(name, 0, size);
  const times = async (x: Rows, name: string, outputs: number): Promise<Rows> => {
    const inputs = x[0]?.length ?? 0;
    const weight = await vector(name, outputs * inputs);
    return x.map((row) =>
      Float32Array.from({ length: outputs }, (_, o) =>
        row.reduce((sum, value, i) => sum + value * (weight[o * inputs + i] as number), 0),
      ),
    );
  };
  const withBias = async (x: Rows, stem: string, outputs: number): Promise<Rows> => {
    const bias = await vector(`${stem}.bias`, outputs);
    return (await times(x, `${stem}.weight`, outputs)).map((row) => row.map((value, n) => value + (bias[n] as number)));
  };
  const normed = async (x: Rows, name: string): Promise<Rows> => {
    const gain = await vector(name, readerDim);
    return x.map((row) => {
      const square = row.reduce((sum, value) => sum + value * value, 0) / row.length;
      return row.map((value, n) => (value / Math.sqrt(square + shape.normEpsilon)) * (gain[n] as number));
    });
  };
  const plus = (a: Rows, b: Rows): Rows => a.map((row, t) => row.map((value, n) => value + (b[t]?.[n] as number)));

  let x: Rows = Array.from({ length: rows.length / readerDim }, (_, t) =>
    rows.slice(t * readerDim, (t + 1) * readerDim),
  );
  for (let layer = 0; layer < shape.layers; layer += 1) {
    const stem = `model.layers.${layer}`;
    const input = await normed(x, `${stem}.input_layernorm.weight`);
    const q = turned(await withBias(input, `${stem}.self_attn.q_proj`, heads * headDim), shape);
    const k = turned(await withBias(input, `${stem}.self_attn.k_proj`, kvHeads * headDim), shape);
    const v = await withBias(input, `${stem}.self_attn.v_proj`, kvHeads * headDim);
    x = plus(x, await times(attended(q, k, v, shape), `${stem}.self_attn.o_proj.weight`, readerDim));
    const wide = await normed(x, `${stem}.post_attention_layernorm.weight`);
    const gate = await times(wide, `${stem}.mlp.gate_proj.weight`, ffnDim);
    const up = await times(wide, `${stem}.mlp.up_proj.weight`, ffnDim);
    const product = gate.map((row, t) =>
      row.map((value, n) => (value / (1 + Math.exp(-value))) * (up[t]?.[n] as number)),
    );
    x = plus(x, await times(product, `${stem}.mlp.down_proj.weight`, readerDim));
  }
  const logits = await times(await normed(x, "model.norm.weight"), "model.embed_tokens.weight", vocabSize);
  const all = new Float32Array(logits.length * vocabSize);
  logits.forEach((row, t) => {
    all.set(row, t * vocabSize);
  });
  return all;
}

/** Rotary positions, the two halves of a head turned against one another. */
function turned(x: Rows, { headDim, ropeTheta }: Qwen2Shape): Rows {
  const half = headDim / 2;
  return x.map((row, t) =>
    row.map((value, n) => {
      const within = n % headDim;
      const angle = t * ropeTheta ** (-(within % half) / half);
      const partner = within < half ? -(row[n + half] as number) : (row[n - half] as number);
      return value * Math.cos(angle) + partner * Math.sin(angle);
    }),
  );
}

/** Causal attention; each key-value head serves `heads / kvHeads` query heads. */
function attended(q: Rows, k: Rows, v: Rows, { heads, kvHeads, headDim }: Qwen2Shape): Rows {
  return q.map((query, t) => {
    const row = new Float32Array(heads * headDim);
    for (let head = 0; head < heads; head += 1) {
      const own = Math.floor((head * kvHeads) / heads) * headDim;
      const scores = k.slice(0, t + 1).map((key) => {
        let dot = 0;
        for (let n = 0; n < headDim; n += 1) dot += (query[head * headDim + n] as number) * (key[own + n] as number);
        return dot / Math.sqrt(headDim);
      });
      const top = Math.max(...scores);
      const weights = scores.map((score) => Math.exp(score - top));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      for (let n = 0; n < headDim; n += 1) {
        row[head * headDim + n] = weights.reduce(
          (sum, weight, s) => sum + (weight / total) * (v[s]?.[own + n] as number),
          0,
        );
      }
    }
    return row;
  });
}
