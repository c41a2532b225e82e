// Text -> chunks of at most `maxTokens`, cut at syntax boundaries (HEF section 3.2). Pure; never throws.
// Chunks do not overlap and cover every line that is not blank. Small siblings are packed together; a definition stays
// whole where it fits; a larger one is opened; what has no syntax to open is cut at blank lines and shallow indentation.
import type { AstFeatures, Chunk, Span } from "../domain.ts";
import { messageOf, type Problem } from "../errors.ts";
import type { Language, Syntax } from "../languages/languages.ts";
import { featuresOf } from "./astFeatures.ts";
import { cutLine, cutText } from "./cutText.ts";
import { type Rows, readRows } from "./rows.ts";
import { type Branch, growTree, type Tree } from "./syntaxTree.ts";

/** Part of the store's fingerprint: raise it whenever the same text may give other chunks or features. */
export const CHUNKER_VERSION = 1;

/** Deeper syntax is cut as text: it is generated, or nonsense. */
const MAX_LEVELS = 64;

/** Rows that go into one chunk, and the syntax they hold. */
export interface Group {
  readonly from: number;
  readonly to: number;
  readonly branches: readonly Branch[];
  /** The definition that was opened to make this group. */
  readonly owner: Branch | undefined;
}

export function chunk(
  text: string,
  language: Language | undefined,
  countTokens: (text: string) => number,
  maxTokens: number,
  isLinearised = true,
): { chunks: Chunk[]; problems: Problem[] } {
  const rows = readRows(text, countTokens);
  if (rows.count === 0) return { chunks: [], problems: [] };
  const problems: Problem[] = [];
  const syntax = parse(text, language, problems);
  try {
    const tree = syntax === undefined ? { branches: [] } : growTree(syntax.units, rows);
    const groups = pack(tree, { from: 0, to: rows.count }, rows, maxTokens);
    const featuresIn = (group: Group, span: Span) => featuresOf(group, span, syntax, isLinearised);
    const chunks = groups.flatMap((group) => chunksOf(text, group, rows, featuresIn, countTokens, maxTokens));
    return { chunks, problems };
  } finally {
    syntax?.delete();
  }
}

function parse(text: string, language: Language | undefined, problems: Problem[]): Syntax | undefined {
  if (language === undefined) return undefined;
  const fallBack = (detail: string) => {
    problems.push({ code: "PARSE_FALLBACK", detail });
    return undefined;
  };
  let syntax: Syntax | undefined;
  try {
    syntax = language.parse(text);
  } catch (error) {
    return fallBack(`the ${language.name} parser failed: ${messageOf(error)}`);
  }
  if (syntax === undefined) return fallBack(`the ${language.name} parser took too long`);
  if (syntax.errorLength * 2 <= text.length) return syntax;
  syntax.delete();
  return fallBack(`most of the file is not ${language.name}`);
}

/** Tiles the rows of a region with its branches and what lies between them, packing neighbours greedily. */
function pack(tree: Tree, region: { from: number; to: number }, rows: Rows, maxTokens: number, level = 0): Group[] {
  const owner = tree.owner;
  const groups: Group[] = [];
  let open: Group | undefined;
  const fits = (from: number, to: number) => rows.tokens(from, to) <= maxTokens;
  const add = (from: number, to: number, branch: Branch | undefined) => {
    if (from >= to) return;
    const branches = branch === undefined ? [] : [branch];
    if (open !== undefined && fits(open.from, to)) {
      open = { from: open.from, to, branches: [...open.branches, ...branches], owner };
      return;
    }
    if (open !== undefined) groups.push(open);
    open = undefined;
    if (fits(from, to)) {
      open = { from, to, branches, owner };
    } else if (branch !== undefined && branch.branches.length > 0 && level < MAX_LEVELS) {
      const inner = { branches: branch.branches, owner: branch.unit.name === "" ? owner : branch };
      groups.push(...pack(inner, { from, to }, rows, maxTokens, level + 1));
    } else {
      const cuts = cutText(rows, from, to, maxTokens);
      groups.push(...cuts.map((cut) => ({ ...cut, branches, owner })));
    }
  };
  let at = region.from;
  // Brackets and words that only close go with the last branch: alone they say nothing.
  const last = tree.branches.at(-1);
  const endOf = (branch: Branch) => (branch === last && rows.areClosing(branch.to, region.to) ? region.to : branch.to);
  for (const branch of tree.branches) {
    const to = endOf(branch);
    // Comments and headers between branches go with the branch after them, unless only apart they fit.
    const isApart = at < branch.from && !fits(at, to) && fits(branch.from, to);
    if (isApart) add(at, branch.from, undefined);
    add(isApart ? branch.from : at, to, branch);
    at = to;
  }
  add(at, region.to, undefined);
  if (open !== undefined) groups.push(open);
  return groups;
}

function chunksOf(
  text: string,
  group: Group,
  rows: Rows,
  featuresIn: (group: Group, span: Span) => AstFeatures,
  countTokens: (text: string) => number,
  maxTokens: number,
): Chunk[] {
  const first = rows.at(group.from);
  const last = rows.at(group.to - 1);
  const whole = { start: first.start, end: last.end, tokens: rows.tokens(group.from, group.to) };
  const spans = whole.tokens <= maxTokens ? [whole] : cutLine(text, whole, countTokens, maxTokens);
  return spans.map((span) => ({
    ...span,
    startLine: first.line,
    endLine: last.line,
    text: text.slice(span.start, span.end),
    features: featuresIn(group, span),
  }));
}
