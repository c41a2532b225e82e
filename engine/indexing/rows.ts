// Text -> rows: a line that is not blank, together with the blank lines after it. The unit in which chunks are cut.
// Token counts add up over rows because the tokenizers of our packs never let a token reach past white space that
// follows a line break; the last row of a span is counted anew without what follows its text.

export interface Row {
  /** Start of the line, its indentation included. */
  readonly start: number;
  /** End of the line's text: trailing line break excluded, trailing white space included. */
  readonly end: number;
  /** Start of the next row. */
  readonly next: number;
  /** 1-based. */
  readonly line: number;
  /** Width of the leading white space in characters. */
  readonly indent: number;
}

export interface Rows {
  readonly count: number;
  at(index: number): Row;
  /** Index of the row that holds `offset`; 0 before the first row. */
  indexAt(offset: number): number;
  /** Whether rows `[from, to)` hold nothing but what closes a block: brackets, `end`. */
  areClosing(from: number, to: number): boolean;
  /** Exact token count of the text of rows `[from, to)`, or `TOO_LONG` where a row is beyond counting. */
  tokens(from: number, to: number): number;
}

/** Longer lines are never worth counting: they are cut hard whatever the limit is. */
const COUNTED_LENGTH = 32_768;
export const TOO_LONG = 1e9;

const CLOSING = /^\s*(?:[)\]}]+[;,]*|end)[)\]};,\s]*$/;

export function readRows(text: string, countTokens: (text: string) => number): Rows {
  const rows = splitRows(text);
  const bare = new Map<number, number>();
  // sums[i]: tokens of rows [0, i), each with the blank lines after it. Filled when first asked for.
  const sums: number[] = [0];
  const counted = (from: number, to: number) =>
    to - from > COUNTED_LENGTH ? TOO_LONG : countTokens(text.slice(from, to));
  const sumTo = (index: number): number => {
    for (let i = sums.length - 1; i < index; i++) {
      const row = rowAt(rows, i);
      sums.push((sums[i] ?? 0) + counted(row.start, row.next));
    }
    return sums[index] ?? 0;
  };
  const bareAt = (index: number): number => {
    const known = bare.get(index);
    if (known !== undefined) return known;
    const row = rowAt(rows, index);
    const tokens = counted(row.start, row.end);
    bare.set(index, tokens);
    return tokens;
  };
  return {
    count: rows.length,
    at: (index) => rowAt(rows, index),
    indexAt: (offset) => indexAt(rows, offset),
    areClosing: (from, to) => {
      for (let i = from; i < to; i++) {
        const { start, end } = rowAt(rows, i);
        if (end - start > COUNTED_LENGTH || !CLOSING.test(text.slice(start, end))) return false;
      }
      return to > from;
    },
    tokens: (from, to) => (to <= from ? 0 : Math.min(TOO_LONG, sumTo(to - 1) - sumTo(from) + bareAt(to - 1))),
  };
}

function rowAt(rows: readonly Row[], index: number): Row {
  const row = rows[index];
  if (row === undefined) throw new RangeError(`row ${index} of ${rows.length}`);
  return row;
}

function splitRows(text: string): Row[] {
  const rows: Row[] = [];
  const breaks = /\r\n|\n|\r/g;
  let open: Omit<Row, "next"> | undefined;
  let line = 1;
  for (let start = 0; start < text.length; line++) {
    const found = breaks.exec(text);
    const end = found === null ? text.length : found.index;
    const indent = text.slice(start, Math.min(end, start + COUNTED_LENGTH)).search(/\S/);
    if (indent >= 0 || end - start > COUNTED_LENGTH) {
      if (open !== undefined) rows.push({ ...open, next: start });
      open = { start, end, line, indent: Math.max(0, indent) };
    }
    start = found === null ? text.length : breaks.lastIndex;
  }
  if (open !== undefined) rows.push({ ...open, next: text.length });
  return rows;
}

function indexAt(rows: readonly Row[], offset: number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((rows[middle]?.start ?? 0) <= offset) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}
