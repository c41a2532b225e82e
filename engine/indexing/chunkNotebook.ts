// A notebook -> the chunks of its code cells; none reaches over two cells, between which outputs lie. IPython's own
// commands are hidden from the parser, and stay in the chunks.
import type { Chunk } from "../domain.ts";
import type { Problem } from "../errors.ts";
import type { Language } from "../languages/languages.ts";
import { chunk } from "./chunk.ts";
import { readNotebook } from "./notebook.ts";

/** `languageNamed` gives undefined for a language without a grammar: its cells are cut as text. */
export function chunkNotebook(
  text: string,
  languageNamed: (name: string) => Language | undefined,
  countTokens: (text: string) => number,
  maxTokens: number,
  isLinearised = true,
): { chunks: Chunk[]; problems: Problem[] } {
  const { code, language: name, cellStarts, placeOf, fault } = readNotebook(text);
  if (fault !== undefined) return { chunks: [], problems: [{ code: "NOTEBOOK_BROKEN", detail: fault }] };
  const language = languageNamed(name);
  const parse = (cell: string) => language?.parse(maskCommands(cell));
  const hidden = language === undefined || name !== "python" ? language : { ...language, parse };
  const lines = lineCounter(text);
  const chunks: Chunk[] = [];
  const problems = new Map<string, Problem>();
  for (const [index, from] of cellStarts.entries()) {
    const cell = code.slice(from, cellStarts[index + 1]);
    const cut = chunk(cell, hidden, countTokens, maxTokens, isLinearised);
    for (const problem of cut.problems) problems.set(problem.detail, problem);
    for (const each of cut.chunks) {
      const start = placeOf(from + each.start).at;
      const last = placeOf(from + each.end - 1);
      const end = last.at + last.width;
      chunks.push({ ...each, start, end, startLine: lines.lineAt(start), endLine: lines.lineAt(end) });
    }
  }
  return { chunks, problems: [...problems.values()] };
}

/** Cell commands after which the cell is still Python. */
const PYTHON_CELLS = /^%%(?:time|timeit|capture|prun|memit|mprun|python3?|pypy)\b/;
/** `%matplotlib inline`, `!pip install x`, `?name`; `% 2` goes on with an expression. */
const LINE_COMMAND = /^([ \t]*)(?:%%?[A-Za-z]|![^=]|\?\??[A-Za-z_])/;
/** `files = !ls`, `took = %timeit f()`: the value becomes 0. */
const ASSIGNED_COMMAND = /^([ \t]*[\w, .]+=[ \t]*)(?:![^=]|%[A-Za-z])/;
const HELP = /^[ \t]*[\w.]+\?{1,2}[ \t]*$/;

/** The same text, as long, with IPython's commands as comments. */
function maskCommands(cell: string): string {
  const isForeign = cell.startsWith("%%") && !PYTHON_CELLS.test(cell);
  const lines = cell.split("\n").map((line) => {
    if (line === "") return line;
    if (isForeign) return `#${line.slice(1)}`;
    const command = LINE_COMMAND.exec(line);
    if (command !== null) return `${command[1]}#${line.slice((command[1]?.length ?? 0) + 1)}`;
    const assigned = ASSIGNED_COMMAND.exec(line);
    if (assigned !== null) return `${assigned[1]}0#${line.slice((assigned[1]?.length ?? 0) + 2)}`;
    return HELP.test(line) ? `#${line.slice(1)}` : line;
  });
  return lines.join("\n");
}

/** 1-based lines of offsets that come in order. */
function lineCounter(text: string): { lineAt(offset: number): number } {
  let at = 0;
  let line = 1;
  return {
    lineAt: (offset) => {
      for (let next = text.indexOf("\n", at); next !== -1 && next < offset; next = text.indexOf("\n", at)) {
        at = next + 1;
        line += 1;
      }
      return line;
    },
  };
}
