// What a reader's weights are stored as: once, or one way for prompts and another for tokens.
import { MATRIX_FORMATS, type MatrixFormat } from "./matrices.ts";

/**
 * `int8-q4`: int8 where many positions are read at once, which is bound by arithmetic; q4 where tokens are, one after another, which is
 * bound by the weights' bytes.
 */
export const READER_FORMATS = [...MATRIX_FORMATS, "int8-q4"] as const;
export type ReaderFormat = (typeof READER_FORMATS)[number];

export function isMatrixFormat(format: ReaderFormat): format is MatrixFormat {
  return format !== "int8-q4";
}

/** `tokens` undefined: as prompts. */
export function formatsOf(format: ReaderFormat): { readonly prompts: MatrixFormat; readonly tokens?: MatrixFormat } {
  return isMatrixFormat(format) ? { prompts: format } : { prompts: "int8", tokens: "q4" };
}
