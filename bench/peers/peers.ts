// Other programs that `precis bench latency --peer` runs beside ours. A peer is a line in `PEERS`.
import type { Qwen2Shape } from "../../engine/pack/checkpoint.ts";
import { openLlama } from "./llama.ts";

/** Another program with the same shape, random weights and number of threads. */
export interface Peer {
  readonly name: string;
  /** Milliseconds until the last position's logits, with a cold cache. */
  prefill(tokens: number): Promise<number>;
  /** Milliseconds a token, `steps` tokens one after another behind `past` positions. */
  decode(past: number, steps: number): Promise<number>;
  close(): Promise<void>;
}

/** One peer for each of the program's settings worth comparing with. */
export type OpenPeers = (shape: Qwen2Shape, threads: number) => Promise<Peer[]>;

export const PEERS: Readonly<Record<string, OpenPeers>> = { "llama.cpp": openLlama };
