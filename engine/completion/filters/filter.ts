// What every filter takes and gives: the offer, and all that stands around the cursor.

export interface Offer {
  readonly text: string;
  /** UTF-16 code units right of the cursor that accepting replaces. */
  readonly replaceRight: number;
}

export interface Surroundings {
  /** The cursor's line left and right of it. */
  readonly lineBefore: string;
  readonly lineAfter: string;
  /** Lines above and below the cursor's own, nearest first, at most `NEARBY_LINES` of them. */
  readonly above: readonly string[];
  readonly below: readonly string[];
  readonly maxLines: number;
  /** What the file ends its lines with. */
  readonly lineBreak: "\n" | "\r\n";
  /** One step of the file's own indentation. */
  readonly indentUnit: string;
  /** The generation ended at its token budget, so that its last word may be half. */
  readonly isCutShort: boolean;
  /** Plain text, a comment or a string, where sentences are wanted and brackets need not balance. */
  readonly isProse: boolean;
  /** Tokens of the pack that end a completion. */
  readonly stopTokens: readonly string[];
  /** The document has no syntax errors before the offer, or has them in the cursor's line alone: there is something to break. */
  readonly isSound: boolean;
  /** Whether the document is free of syntax errors with that offer in place; undefined where that cannot be known. */
  readonly parsesWith: (offer: Offer) => boolean | undefined;
}

/** How far filters look. A bracket opened farther above counts as never opened. */
export const NEARBY_LINES = 120;

/** A filter is pure: it changes the offer, hands it back unchanged, or drops it by answering undefined. */
export interface Filter {
  /** Stands in the trace where it fired, and in the reason `filtered(name)` where it dropped the offer. */
  readonly name: string;
  readonly apply: (offer: Offer, around: Surroundings) => Offer | undefined;
}

export function withText(offer: Offer, text: string): Offer {
  return text === offer.text ? offer : { ...offer, text };
}

/** Whether a line says something, rather than close a bracket. */
export function hasWord(line: string): boolean {
  return /[\p{L}\p{N}]/u.test(line);
}

/** The nearest line that is not blank; `""` where there is none. */
export function nearest(lines: readonly string[]): string {
  return lines.find((line) => line.trim() !== "") ?? "";
}

export function indentationOf(line: string): string {
  return /^[ \t]*/.exec(line)?.[0] ?? "";
}
