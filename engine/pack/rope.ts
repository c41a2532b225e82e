// Rotary position tables as constants of a graph.
import type { OnnxGraph } from "./onnxGraph.ts";

export interface Rope {
  readonly maxTokens: number;
  readonly headDim: number;
  readonly ropeTheta: number;
}

/** `rope.cos` and `rope.sin` `[maxTokens, headDim / 2]`, the layout GroupQueryAttention reads. */
export function addRope(graph: OnnxGraph, { maxTokens, headDim, ropeTheta }: Rope): void {
  const half = headDim / 2;
  const cos = new Float32Array(maxTokens * half);
  const sin = new Float32Array(maxTokens * half);
  for (let position = 0; position < maxTokens; position += 1) {
    for (let n = 0; n < half; n += 1) {
      const angle = position * ropeTheta ** (-n / half);
      cos[position * half + n] = Math.cos(angle);
      sin[position * half + n] = Math.sin(angle);
    }
  }
  graph.constant("rope.cos", cos, [maxTokens, half]);
  graph.constant("rope.sin", sin, [maxTokens, half]);
}
