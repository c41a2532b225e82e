// A chunk's syntax -> its AST features. The linearised form is UniXcoder's pre-order walk of named syntax nodes with
// identifiers kept, written with brackets: `(return_statement (call print (argument_list x)))`.
import type { AstFeatures, Span } from "../domain.ts";
import type { Name, Syntax } from "../languages/languages.ts";
import type { Branch } from "./syntaxTree.ts";

/** Characters kept of the linearised form: more than an encoder of 512 tokens reads. */
const LINEARISED_LIMIT = 2000;

interface Grouped {
  readonly branches: readonly Branch[];
  readonly owner: Branch | undefined;
}

/** `isLinearised` false leaves the linearised form empty: it costs more than the rest, and few encoders read it. */
export function featuresOf(group: Grouped, span: Span, syntax: Syntax | undefined, isLinearised: boolean): AstFeatures {
  if (syntax === undefined) return EMPTY;
  const subject = subjectOf(group);
  const names = within(syntax.names, span);
  const namesAs = (...roles: Name["role"][]) =>
    unique(names.filter((name) => roles.includes(name.role)).map((name) => name.text));
  return {
    kind: kindOf(group, subject),
    qualifiedName: subject?.qualifiedName ?? "",
    signature: subject?.unit.signature ?? "",
    defines: namesAs("definition", "binding"),
    references: namesAs("reference"),
    imports: unique(within(syntax.imports, span).map((entry) => entry.path)),
    linearised: isLinearised ? linearise(group.branches, span, names, syntax) : "",
  };
}

const EMPTY: AstFeatures = {
  kind: "text",
  qualifiedName: "",
  signature: "",
  defines: [],
  references: [],
  imports: [],
  linearised: "",
};

/** The definition a chunk is about: its only one, else the one that was opened to make it. */
function subjectOf(group: Grouped): Branch | undefined {
  const definitions = group.branches.filter((branch) => branch.unit.name !== "");
  const isAlone = group.branches.length === 1 || group.owner === undefined;
  return definitions.length === 1 && isAlone ? definitions[0] : group.owner;
}

function kindOf(group: Grouped, subject: Branch | undefined): string {
  if (subject !== undefined) return subject.isMethod ? "method" : subject.unit.kind;
  const isImports = group.branches.length > 0 && group.branches.every((branch) => branch.unit.kind === "import");
  return isImports ? "imports" : "statements";
}

function linearise(branches: readonly Branch[], span: Span, names: readonly Name[], syntax: Syntax): string {
  const parts: string[] = [];
  let length = 0;
  for (const { unit } of branches) {
    // A unit cut as text is larger than its chunk; its outline would be cut anyway.
    if (length >= LINEARISED_LIMIT || unit.start < span.start || unit.end > span.end) continue;
    const identifiers = within(names, unit).map((name) => name.text);
    let next = 0;
    const part = syntax
      .outline(unit)
      .slice(0, LINEARISED_LIMIT * 4)
      .replace(/ [a-z_]+:/g, "")
      .replace(/\((\w+)\)/g, (leaf, type: string) =>
        syntax.nameTypes.has(type) ? (identifiers[next++] ?? type) : leaf,
      );
    parts.push(part);
    length += part.length + 1;
  }
  return parts.join(" ").slice(0, LINEARISED_LIMIT);
}

/** Those of a list ordered by start that start inside the span. */
function within<T extends { readonly start: number }>(ordered: readonly T[], span: Span): T[] {
  let low = 0;
  let high = ordered.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ordered[middle]?.start ?? 0) < span.start) low = middle + 1;
    else high = middle;
  }
  let end = low;
  while (end < ordered.length && (ordered[end]?.start ?? 0) < span.end) end += 1;
  return ordered.slice(low, end);
}

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}
