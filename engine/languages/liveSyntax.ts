// The syntax tree of a document that is being typed: parsed once, then only where it changed, and asked "what if".
// Structural types, as only languages.ts may import the parser.

interface Point {
  readonly row: number;
  readonly column: number;
}

/** What is read of a syntax node. */
export interface TreeNode {
  readonly type: string;
  readonly startIndex: number;
  readonly endIndex: number;
  readonly startPosition: Point;
  readonly endPosition: Point;
  readonly hasError: boolean;
  readonly isError: boolean;
  readonly isMissing: boolean;
  readonly parent: TreeNode | null;
  readonly children: readonly (TreeNode | null)[];
  readonly namedChildren: readonly (TreeNode | null)[];
  descendantForIndex(start: number, end: number): TreeNode | null;
}

/** What is used of a tree; `edit` changes it in place. */
export interface TextTree {
  readonly rootNode: TreeNode;
  edit(edit: Edit): void;
  copy(): TextTree;
  delete(): void;
}

interface Edit {
  readonly startIndex: number;
  readonly oldEndIndex: number;
  readonly newEndIndex: number;
  readonly startPosition: Point;
  readonly oldEndPosition: Point;
  readonly newEndPosition: Point;
}

/** Undefined when the parse took too long. An `old` tree must have been edited to the new text's shape. */
export type ParseText = (text: string, old?: TextTree) => TextTree | undefined;

/** Where in the code an offset lies. */
export interface Place {
  /** The innermost comment or string around it; undefined in code. */
  readonly inside: "comment" | "string" | undefined;
  /** That comment or string covers several rows. */
  readonly isLong: boolean;
  /** Where the first statement of a block begins that holds nothing yet but comments and a string of documentation. */
  readonly isEmptyBlock: boolean;
}

export interface LiveSyntax {
  /** Undefined when the text could not be parsed in time. */
  placeAt(text: string, offset: number): Place | undefined;
  /** Number of errors and missing tokens in the tree of `text`, which is expected to resemble the last text. */
  errorsIn(text: string): number | undefined;
  delete(): void;
}

/** Any identifier will do: it shows what kind of thing may stand at the cursor. */
const PLACEHOLDER = "precisPlaceholder";

/** Node types of bodies in the grammars at hand: block, class_body, compound_statement, declaration_list, do_group … */
const BODY = /(^|_)(block|body|suite|compound_statement|declaration_list|do_group|statements)$/;
const COMMENT = /comment/;
const SUBSTITUTION = /interpolation|substitution/;
const STRING = /string|heredoc|char_literal/;

export function followSyntax(parse: ParseText): LiveSyntax {
  let last: { readonly text: string; readonly tree: TextTree } | undefined;

  /** The tree of `text` becomes the one that later texts are compared with. */
  const settle = (text: string): TextTree | undefined => {
    if (last?.text === text) return last.tree;
    const tree = reparse(text);
    if (tree === undefined) return undefined;
    last?.tree.delete();
    last = { text, tree };
    return tree;
  };
  const reparse = (text: string): TextTree | undefined => {
    if (last === undefined) return parse(text);
    const old = last.tree.copy();
    try {
      old.edit(editBetween(last.text, text));
      return parse(text, old);
    } finally {
      old.delete();
    }
  };
  /** Reads the tree of a text that is only supposed. */
  const suppose = <T>(text: string, read: (root: TreeNode) => T): T | undefined => {
    const tree = reparse(text);
    if (tree === undefined) return undefined;
    try {
      return read(tree.rootNode);
    } finally {
      tree.delete();
    }
  };
  return {
    placeAt: (text, offset) => {
      if (settle(text) === undefined) return undefined;
      const supposed = text.slice(0, offset) + PLACEHOLDER + text.slice(offset);
      return suppose(supposed, (root) => placeOf(root, supposed, offset));
    },
    errorsIn: (text) => {
      if (last === undefined) settle(text);
      return last?.text === text ? countErrors(last.tree.rootNode) : suppose(text, countErrors);
    },
    delete: () => {
      last?.tree.delete();
      last = undefined;
    },
  };
}

function placeOf(root: TreeNode, text: string, offset: number): Place {
  const end = offset + PLACEHOLDER.length;
  let inside: Place["inside"];
  let isLong = false;
  for (let node = root.descendantForIndex(offset, end); node !== null; node = node.parent) {
    const isComment = COMMENT.test(node.type);
    // Code inside a string is code.
    if (SUBSTITUTION.test(node.type) && inside === undefined) break;
    if (isComment || STRING.test(node.type)) {
      inside ??= isComment ? "comment" : "string";
      isLong ||= node.endPosition.row > node.startPosition.row;
    }
    if (BODY.test(node.type))
      return { inside, isLong, isEmptyBlock: inside === undefined && isEmpty(node, text, offset) };
  }
  return { inside, isLong, isEmptyBlock: false };
}

/** Nothing stands in the block but comments, one string, its documentation, and at most the first word of a statement. */
function isEmpty(block: TreeNode, text: string, offset: number): boolean {
  const end = offset + PLACEHOLDER.length;
  const children = block.namedChildren.filter((child) => child !== null && !COMMENT.test(child.type));
  const own = children.find((child) => child !== null && child.startIndex <= offset && child.endIndex >= end);
  if (own !== undefined && own !== null && !/^\w*$/.test(text.slice(own.startIndex, offset))) return false;
  const others = children.filter((child) => child !== own);
  return others.length === 0 || (others.length === 1 && isDocumentation(others[0] ?? null));
}

function isDocumentation(node: TreeNode | null): boolean {
  if (node === null) return false;
  return STRING.test(node.type) || (node.namedChildren.length === 1 && isDocumentation(node.namedChildren[0] ?? null));
}

function countErrors(root: TreeNode): number {
  if (root.isError || root.isMissing) return 1;
  if (!root.hasError) return 0;
  return root.children.reduce((sum, child) => sum + (child === null ? 0 : countErrors(child)), 0);
}

/** The one replaced stretch that turns `before` into `after`. */
function editBetween(before: string, after: string): Edit {
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && before.charCodeAt(start) === after.charCodeAt(start)) start += 1;
  let tail = 0;
  while (
    tail < shorter - start &&
    before.charCodeAt(before.length - 1 - tail) === after.charCodeAt(after.length - 1 - tail)
  )
    tail += 1;
  const oldEndIndex = before.length - tail;
  const newEndIndex = after.length - tail;
  return {
    startIndex: start,
    oldEndIndex,
    newEndIndex,
    startPosition: pointAt(before, start),
    oldEndPosition: pointAt(before, oldEndIndex),
    newEndPosition: pointAt(after, newEndIndex),
  };
}

function pointAt(text: string, offset: number): Point {
  let row = 0;
  let from = 0;
  for (let at = text.indexOf("\n"); at !== -1 && at < offset; at = text.indexOf("\n", at + 1)) {
    row += 1;
    from = at + 1;
  }
  return { row, column: offset - from };
}
