// The trees of the documents being typed in: at most a few, and none of a text too long to parse between two keystrokes.
import type { Languages } from "../languages/languages.ts";
import type { LiveSyntax } from "../languages/liveSyntax.ts";

/** Copilot's limit: a longer document is never parsed for a completion. */
export const MAX_PARSED_LINES = 8000;

/** Documents whose trees are kept; a tree takes about ten times its text. */
const CAPACITY = 4;

export interface DocumentSyntax {
  /** Undefined where there is no grammar or the document is too long. `languageId` counts where the name has no known ending. */
  of(path: string, text: string, languageId: string): LiveSyntax | undefined;
  clear(): void;
}

export function createDocumentSyntax(languages: Languages): DocumentSyntax {
  const open = new Map<string, LiveSyntax>();
  return {
    of: (path, text, languageId) => {
      const language = languages.forPath(path) ?? languages.forId(languageId);
      if (language === undefined || hasMoreLines(text, MAX_PARSED_LINES)) return undefined;
      const key = `${language.name}:${path}`;
      const syntax = open.get(key) ?? language.follow();
      open.delete(key);
      open.set(key, syntax);
      for (const [oldest, tree] of open) {
        if (open.size <= CAPACITY) break;
        tree.delete();
        open.delete(oldest);
      }
      return syntax;
    },
    clear: () => {
      for (const tree of open.values()) tree.delete();
      open.clear();
    },
  };
}

function hasMoreLines(text: string, limit: number): boolean {
  let lines = 1;
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) {
    lines += 1;
    if (lines > limit) return true;
  }
  return false;
}
