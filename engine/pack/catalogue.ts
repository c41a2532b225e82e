// Models that a person can get by a click: what `catalogue.json` says of them, and what they take. No code names one.
import rows from "./catalogue.json" with { type: "json" };
import type { Qwen2Shape } from "./checkpoint.ts";
import { EMBEDDING_TENSOR } from "./qwen2Config.ts";
import type { ReaderFormat } from "./readerFormat.ts";
import { checkpointBytes, graphBytes, memoryBytes } from "./sizes.ts";

export interface CatalogueModel {
  /** Of the pack it becomes. */
  readonly id: string;
  readonly title: string;
  /** On the hub, `owner/name`. */
  readonly repository: string;
  readonly licence: { readonly name: string /** What a person should know first. */; readonly note?: string };
  /** About. */
  readonly bytes: { readonly download: number; readonly pack: number; readonly memory: number };
}

/** The pack's format, and the longest prompt and completion it is prepared for. */
export interface PackFormat {
  readonly format: ReaderFormat;
  readonly maxTokens: number;
}

/** Weights of 4 bits, and room for the longest prompt that a completion is quick with. */
export const ADDED_FORMAT: PackFormat = { format: "q4", maxTokens: 2048 };

export function catalogue({ format, maxTokens }: PackFormat): CatalogueModel[] {
  return rows.map(({ shape: { isTied, ...dims }, ...row }) => {
    // Neither changes a size.
    const rest = { maxTokens, ropeTheta: 1e6, normEpsilon: 1e-6 };
    const shape: Qwen2Shape = { ...dims, ...rest, headTensor: isTied ? EMBEDDING_TENSOR : "lm_head.weight" };
    const download = checkpointBytes(shape);
    return { ...row, bytes: { download, pack: graphBytes(shape, format), memory: memoryBytes(shape, format) } };
  });
}
