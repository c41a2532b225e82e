// Path -> language -> syntax: reads the query files beside it, loads a grammar when it is first needed, and turns a
// parse into plain spans. The only file that knows tree-sitter. Offsets are UTF-16 code units.
import { readFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, extname, join } from "node:path";
import { Parser, Query, type Node as SyntaxNode, type Tree, Language as TreeSitterLanguage } from "web-tree-sitter";
import type { Span } from "../domain.ts";
import { followSyntax, type LiveSyntax, type TextTree } from "./liveSyntax.ts";

// Node has it; the types of Node and ES do not say so.
declare const WebAssembly: { readonly Module: new (bytes: Uint8Array) => object };

/** `class` is any type with a name: class, interface, struct, enum, trait, and what implements one. */
export type UnitKind = "function" | "class" | "namespace" | "import" | "statement";

/** A piece of syntax at which a chunk may begin: a definition, an import or any other statement. */
export interface Unit extends Span {
  readonly kind: UnitKind;
  /** Of a definition; `""` for the rest. */
  readonly name: string;
  /** Dotted path of what a definition belongs to where that is not around it, as a Go method's receiver; else `""`. */
  readonly scope: string;
  /** A definition's text up to its body, decorators and comments left out, white space folded; else `""`. */
  readonly signature: string;
}

export type NameRole = "definition" | "binding" | "parameter" | "import" | "reference";

/** One identifier in the text. */
export interface Name extends Span {
  readonly text: string;
  readonly role: NameRole;
}

/** One module or name an import statement brings in, as a dotted path. */
export interface Import {
  readonly start: number;
  readonly path: string;
}

/** What a parse says, as spans. Holds the tree's memory until `delete` is called. */
export interface Syntax {
  /** Ordered by start, outer before inner. */
  readonly units: readonly Unit[];
  /** Ordered by start, one for each identifier. */
  readonly names: readonly Name[];
  readonly imports: readonly Import[];
  /** The kinds of syntax nodes that names are, as the outline writes them. */
  readonly nameTypes: ReadonlySet<string>;
  /** Code units inside syntax errors; a definition that was understood inside an error is none. */
  readonly errorLength: number;
  /** The named syntax nodes of a span that is a unit, as an S-expression; `""` for any other span. */
  outline(span: Span): string;
  delete(): void;
}

export interface Language {
  readonly name: string;
  readonly extensions: readonly string[];
  /** Undefined when parsing took longer than `PARSE_LIMIT_MS`. Loads the grammar on the first call. */
  parse(text: string): Syntax | undefined;
  /** For a document that is being typed; holds a tree's memory until its `delete` is called. */
  follow(): LiveSyntax;
}

export interface Languages {
  readonly all: readonly Language[];
  forPath(path: string): Language | undefined;
  /** By an editor's language id, such as `python` or `typescriptreact`. */
  forId(id: string): Language | undefined;
}

export interface LanguagePaths {
  /** Holds the `.scm` files. */
  readonly languagesDir: string;
  /** Holds the grammars and the runtime under their base names; without it they come from node_modules. */
  readonly grammarsDir?: string;
}

/** A safety net for inputs that drive error recovery mad; ordinary files take milliseconds. */
const PARSE_LIMIT_MS = 5000;

/** The first parse of 4,000 lines takes about 70 ms, a later one of the same text a few. */
const TYPING_PARSE_LIMIT_MS = 250;

/** Generated code has signatures of thousands of characters. */
const SIGNATURE_LIMIT = 400;

/** Editors have language ids of their own for files with elements in them. */
const REACT: Readonly<Record<string, string>> = { typescriptreact: "a.tsx", javascriptreact: "a.jsx" };

/** In the bundle, queries and grammars lie in folders beside it; in the sources, queries lie beside this file. */
function pathsHere(): LanguagePaths {
  const here = import.meta.dirname;
  if (import.meta.url.endsWith(".ts")) return { languagesDir: here };
  return { languagesDir: join(here, "languages"), grammarsDir: join(here, "grammars") };
}

export async function loadLanguages(paths: LanguagePaths = pathsHere()): Promise<Languages> {
  const { languagesDir, grammarsDir } = paths;
  await Parser.init(grammarsDir === undefined ? {} : { locateFile: (name: string) => join(grammarsDir, name) });
  const files = (await readdir(languagesDir)).filter((name) => name.endsWith(".scm")).sort();
  const read = files.map(async (file) => [file, await readFile(join(languagesDir, file), "utf8")] as const);
  const sources = new Map(await Promise.all(read));
  const all = files.map((file) => createLanguage(file, sources, grammarsDir));
  const byExtension = new Map(all.flatMap((language) => language.extensions.map((extension) => [extension, language])));
  const forPath = (path: string) => byExtension.get(extname(path).toLowerCase());
  return {
    all,
    forPath,
    forId: (id) => all.find(({ name }) => name === id) ?? forPath(REACT[id] ?? ""),
  };
}

/** A query's head may say `; inherits: c`: the patterns of `c.scm` come before its own. */
function createLanguage(file: string, sources: ReadonlyMap<string, string>, grammarsDir: string | undefined): Language {
  const own = sources.get(file) ?? "";
  const find = (key: string) => new RegExp(`^; *${key}: *(.+)$`, "m").exec(own)?.[1]?.trim();
  const head = (key: string): string => {
    const value = find(key);
    if (value === undefined) throw new Error(`${file} has no "; ${key}:" line`);
    return value;
  };
  const source = `${sources.get(`${find("inherits")}.scm`) ?? ""}\n${own}`;
  const grammar = head("grammar");
  let loaded: { parser: Parser; query: Query } | undefined;
  const load = () => {
    const path =
      grammarsDir === undefined
        ? createRequire(import.meta.url).resolve(grammar)
        : join(grammarsDir, basename(grammar));
    const language = TreeSitterLanguage.loadSync(new WebAssembly.Module(readFileSync(path)));
    return { parser: new Parser().setLanguage(language), query: new Query(language, source) };
  };
  return {
    name: head("language"),
    extensions: head("extensions").split(/\s+/),
    parse: (text) => {
      loaded ??= load();
      return parse(text, loaded.parser, loaded.query);
    },
    follow: () => {
      loaded ??= load();
      const { parser } = loaded;
      return followSyntax((text, old) => readTree(text, parser, old));
    },
  };
}

/** Undefined when it takes too long for someone who is typing. */
function readTree(text: string, parser: Parser, old: TextTree | undefined): Tree | undefined {
  const deadline = performance.now() + TYPING_PARSE_LIMIT_MS;
  const tree = parser.parse(text, old as Tree | undefined, { progressCallback: () => performance.now() > deadline });
  if (tree === null) parser.reset();
  return tree ?? undefined;
}

function parse(text: string, parser: Parser, query: Query): Syntax | undefined {
  const deadline = performance.now() + PARSE_LIMIT_MS;
  const isLate = () => performance.now() > deadline;
  const tree = parser.parse(text, null, { progressCallback: isLate });
  if (tree === null) {
    // Without this the next parse would resume this one.
    parser.reset();
    return undefined;
  }
  try {
    const captures = readCaptures(query, tree.rootNode, isLate);
    if (isLate()) {
      tree.delete();
      return undefined;
    }
    return { ...spansOf(text, captures), delete: () => tree.delete() };
  } catch (error) {
    tree.delete();
    throw error;
  }
}

interface Definition {
  readonly node: SyntaxNode;
  /** The node whose span the definition takes: itself, or its decorators and itself. */
  readonly outer: SyntaxNode;
  readonly kind: UnitKind;
  readonly name: SyntaxNode | undefined;
  readonly body: SyntaxNode | undefined;
  readonly scope: SyntaxNode | undefined;
}

/** The captures of one file, by what `languages/*.scm` call them. */
interface Captures {
  readonly definitions: Definition[];
  readonly nodes: Map<string, SyntaxNode[]>;
}

const KINDS: Readonly<Record<string, UnitKind>> = {
  "definition.function": "function",
  "definition.class": "class",
  "definition.namespace": "namespace",
};

function readCaptures(query: Query, root: SyntaxNode, isLate: () => boolean): Captures {
  const definitions: Definition[] = [];
  const nodes = new Map<string, SyntaxNode[]>();
  for (const match of query.matches(root, { progressCallback: isLate })) {
    const defined = match.captures.find((capture) => capture.name.startsWith("definition."));
    if (defined !== undefined) {
      const part = (name: string) => match.captures.find((capture) => capture.name === name)?.node;
      const kind = KINDS[defined.name] ?? "function";
      const outer = part("wrapper") ?? defined.node;
      const parts = { name: part("name"), body: part("body"), scope: part("scope") };
      definitions.push({ node: defined.node, outer, kind, ...parts });
      continue;
    }
    for (const { name, node } of match.captures) {
      const list = nodes.get(name);
      if (list === undefined) nodes.set(name, [node]);
      else list.push(node);
    }
  }
  return { definitions, nodes };
}

function spansOf(text: string, captures: Captures): Omit<Syntax, "delete"> {
  const of = (capture: string) => captures.nodes.get(capture) ?? [];
  const unitNodes = new Map<string, SyntaxNode>();
  const units = readUnits(text, captures, unitNodes);
  return {
    units,
    ...readNames(text, captures),
    imports: readImports(text, units, of("import.module"), of("import.name")),
    errorLength: errorLengthOf(of("error"), captures.definitions),
    outline: (span) => unitNodes.get(keyOf(span))?.toString() ?? "",
  };
}

function keyOf(span: Span): string {
  return `${span.start}-${span.end}`;
}

function spanOf(node: SyntaxNode): Span {
  return { start: node.startIndex, end: node.endIndex };
}

/** One unit for each span: a definition wins over an import, an import over the statement it is. */
function readUnits(text: string, captures: Captures, unitNodes: Map<string, SyntaxNode>): Unit[] {
  const units: Unit[] = [];
  const add = (node: SyntaxNode, kind: UnitKind, name = "", scope = "", signature = "") => {
    units.push({ ...spanOf(node), kind, name, scope, signature });
    unitNodes.set(keyOf(spanOf(node)), node);
  };
  const comments = [...(captures.nodes.get("comment") ?? []), ...(captures.nodes.get("attribute") ?? [])];
  comments.sort((a, b) => a.startIndex - b.startIndex);
  // A wrapped definition is matched with its wrapper and without; the first counts.
  const byWidth = captures.definitions.toSorted(
    (a, b) => a.outer.startIndex - b.outer.startIndex || b.outer.endIndex - a.outer.endIndex,
  );
  for (const { node, outer, kind, name, body, scope } of byWidth) {
    if (unitNodes.has(keyOf(spanOf(node)))) continue;
    const signature = signatureOf(text, node.startIndex, body?.startIndex ?? node.endIndex, comments);
    add(outer, kind, dotted(text, name), dotted(text, scope), signature);
    unitNodes.set(keyOf(spanOf(node)), node);
  }
  for (const node of comments) unitNodes.set(keyOf(spanOf(node)), node);
  for (const kind of ["import", "statement"] as const) {
    for (const node of captures.nodes.get(kind) ?? []) {
      if (!unitNodes.has(keyOf(spanOf(node)))) add(node, kind);
    }
  }
  return units.sort((a, b) => a.start - b.start || b.end - a.end);
}

/** A path without quotes, brackets and type arguments, its parts joined by dots: `a::b<C>` and `a\b` are `a.b`. */
function dotted(text: string, node: SyntaxNode | undefined): string {
  if (node === undefined) return "";
  const path = text.slice(node.startIndex, node.endIndex).replace(/\s+/g, "");
  const bare = path.replace(/^<(.*)>$/, "$1").replace(/<[\w.,:*&<>]*>|["'`]/g, "");
  return bare.replace(/::|\\+/g, ".");
}

function signatureOf(text: string, start: number, end: number, comments: readonly SyntaxNode[]): string {
  let signature = "";
  let from = start;
  // Comments come in the order of the text.
  for (let i = firstAt(comments, start); from < end; i++) {
    const comment = comments[i];
    const to = comment === undefined ? end : Math.min(end, comment.startIndex);
    signature += text.slice(from, to);
    from = to === end ? end : (comment?.endIndex ?? end);
  }
  return signature.replace(/\s+/g, " ").trim().slice(0, SIGNATURE_LIMIT);
}

/** Index of the first node that starts at or after `offset`. */
function firstAt(nodes: readonly SyntaxNode[], offset: number): number {
  let low = 0;
  let high = nodes.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((nodes[middle]?.startIndex ?? 0) < offset) low = middle + 1;
    else high = middle;
  }
  return low;
}

const ROLES: readonly (readonly [capture: string, role: NameRole])[] = [
  ["import.part", "import"],
  ["parameter", "parameter"],
  ["binding", "binding"],
  ["reference", "reference"],
];

function readNames(text: string, captures: Captures): Pick<Syntax, "names" | "nameTypes"> {
  const names = new Map<number, Name>();
  const nameTypes = new Set<string>();
  const add = (node: SyntaxNode, role: NameRole) => {
    const { start, end } = spanOf(node);
    if (names.has(start)) return;
    names.set(start, { start, end, text: text.slice(start, end), role });
    nameTypes.add(node.type);
  };
  for (const { name } of captures.definitions) if (name !== undefined) add(name, "definition");
  for (const [capture, role] of ROLES) for (const node of captures.nodes.get(capture) ?? []) add(node, role);
  return { names: [...names.values()].sort((a, b) => a.start - b.start), nameTypes };
}

/** Joins each imported name to the modules it is taken from: those whose statement, or inner list, is around it. */
function readImports(text: string, units: readonly Unit[], modules: SyntaxNode[], names: SyntaxNode[]): Import[] {
  const byStart = (a: SyntaxNode, b: SyntaxNode) => a.startIndex - b.startIndex;
  const join = (path: string, part: string) => path + (path === "" || path.endsWith(".") ? "" : ".") + part;
  const imports: Import[] = [];
  modules.sort(byStart);
  names.sort(byStart);
  for (const unit of units) {
    if (unit.kind !== "import") continue;
    const inside = (nodes: SyntaxNode[]) => {
      const from = firstAt(nodes, unit.start);
      return nodes.slice(from, firstAt(nodes, unit.end));
    };
    const own = inside(modules).map((node) => ({ path: dotted(text, node), around: node.parent ?? node }));
    const named = inside(names);
    for (const node of named) {
      const from = own.filter(({ around }) => around.startIndex <= node.startIndex && node.endIndex <= around.endIndex);
      const path = from.reduce((sum, module) => join(sum, module.path), "");
      imports.push({ start: node.startIndex, path: join(path, dotted(text, node)) });
    }
    if (named.length === 0 && own[0] !== undefined) imports.push({ start: unit.start, path: own[0].path });
  }
  return imports;
}

/** The length of what lies in an error and not in a definition inside that error. Spans of a tree nest or are apart. */
function errorLengthOf(errors: readonly SyntaxNode[], definitions: readonly Definition[]): number {
  if (errors.length === 0) return 0;
  const spans = [
    ...errors.map((node) => ({ ...spanOf(node), isError: true })),
    ...definitions.map(({ outer }) => ({ ...spanOf(outer), isError: false })),
  ].sort((a, b) => a.start - b.start || b.end - a.end);
  const open: typeof spans = [];
  let at = 0;
  let length = 0;
  const moveTo = (offset: number) => {
    for (let inner = open.at(-1); inner !== undefined && inner.end <= offset; inner = open.at(-1)) {
      if (inner.isError) length += Math.max(0, inner.end - at);
      at = Math.max(at, inner.end);
      open.pop();
    }
    if (open.at(-1)?.isError) length += Math.max(0, offset - at);
    at = Math.max(at, offset);
  };
  for (const span of spans) {
    moveTo(span.start);
    open.push(span);
  }
  moveTo(Number.MAX_SAFE_INTEGER);
  return length;
}
