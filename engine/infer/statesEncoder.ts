// An encoder whose graph gives every token's state, as stock exports do: pooled and brought to unit length here.
import type { Vector } from "../domain.ts";
import type { Problem } from "../errors.ts";
import { indexModelPath } from "../pack/pack.ts";
import { type EncoderFiles, type EncoderGraph, padded } from "./encoder.ts";
import type { Runtime } from "./runtime.ts";
import { openSession, type Slot, type Tensor } from "./session.ts";

export async function openStatesEncoder(
  pack: EncoderFiles,
  runtime: Runtime,
): Promise<{ graph: EncoderGraph; problems: Problem[] }> {
  const { file, vectorDim, pooling, states } = pack.manifest.encoder;
  const { output, positions = false, past } = states ?? { output: "last_hidden_state" };
  const pastNames = Array.from({ length: past?.layers ?? 0 }, (_, layer) =>
    ["key", "value"].map((part) => `past_key_values.${layer}.${part}`),
  ).flat();
  const tokens = ["input_ids", "attention_mask", ...(positions ? ["position_ids"] : [])];
  const inputs: Slot[] = tokens.map((name) => ({ name, type: "int64", dims: ["n", "t"] }));
  for (const name of pastNames)
    inputs.push({ name, type: "float32", dims: ["n", past?.kvHeads ?? "h", "s", past?.headDim ?? "d"] });
  const { session, problems } = await openSession(indexModelPath(pack, file), {
    ...runtime,
    inputs,
    outputs: [{ name: output, type: "float32", dims: ["n", "t", vectorDim] }],
  });
  const encodeRows = async (rows: readonly (readonly number[])[], padding: number): Promise<Vector[]> => {
    const { ids, width } = padded(rows, padding);
    const dims = [rows.length, width];
    const mask = new BigInt64Array(ids.length);
    rows.forEach((row, n) => {
      mask.fill(1n, n * width, n * width + row.length);
    });
    const feeds: Record<string, Tensor> = {
      input_ids: { data: ids, dims },
      attention_mask: { data: mask, dims },
    };
    if (positions) feeds["position_ids"] = { data: BigInt64Array.from(ids, (_, n) => BigInt(n % width)), dims };
    const nothing = { data: new Float32Array(0), dims: [rows.length, past?.kvHeads ?? 0, 0, past?.headDim ?? 0] };
    for (const name of pastNames) feeds[name] = nothing;
    const given = (await session.run(feeds))[output]?.data as Float32Array;
    return rows.map((row, n) => {
      const own = given.subarray(n * width * vectorDim, (n * width + row.length) * vectorDim);
      return scaled(pooling === "last" ? own.slice(-vectorDim) : meanOf(own, vectorDim));
    });
  };
  return { graph: { provider: session.provider, encodeRows, close: session.close }, problems };
}

/** States `[t, width]` -> their mean; its length does not matter. */
function meanOf(states: Float32Array, width: number): Float32Array {
  const sum = new Float32Array(width);
  states.forEach((value, n) => {
    sum[n % width] = (sum[n % width] as number) + value;
  });
  return sum;
}

function scaled(vector: Float32Array): Vector {
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}
