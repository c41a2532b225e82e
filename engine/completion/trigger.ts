// When to ask: what is known before anything is computed -> ask after a pause, or stay silent for a named reason.
import type { NoCompletionReason } from "../errors.ts";
import { type Rhythm, type Wait, waitOf } from "./rhythm.ts";
import type { LastChange } from "./signals.ts";

export const TRIGGER = {
  /** Copilot: fewer characters in a document say nothing of what comes. */
  leastCharacters: 10,
  /** Ours: 4 Mi code units; VS Code itself turns off most of what it does for a text at 20 MB or 300,000 lines. */
  mostCharacters: 4 * 1024 * 1024,
  /** Documents a person writes in; all others (git:, output:, vscode-scm:, comment: …) are shown, or belong to a tool. */
  schemes: ["file", "untitled", "vscode-notebook-cell", "vscode-remote", "vscode-vfs", "vsls", "memfs"],
  /** Tabby's weights of what invites a completion. */
  invitation: { triggerCharacter: 0.5, nothingRightOnLine: 0.4, nothingBelow: 0.1 },
} as const;

/** Copilot's: closers, quotes and the signs that end a line may stand right of the cursor. */
const ONLY_CLOSERS = /^\s*[)>}\]"'`]*\s*[:{;,]?\s*$/;
/** Cody: a line that ends so is finished. Not `)` and `]`, behind which a method or a colon may follow. */
const FINISHED = /[;}]\s*$/;
/** Signs behind which something must come. */
const TRIGGER_CHARACTER = /[\s.([{,:=<>+\-*/&|!?@]$/;

/** What the list of the editor has selected. */
export interface ListedText {
  /** What it would put in place of `typed`. */
  readonly text: string;
  readonly typed: string;
}

export interface Situation {
  readonly trigger: "automatic" | "manual";
  readonly scheme: string;
  readonly languageId: string;
  readonly isLanguageOn: boolean;
  /** In UTF-16 code units, and how many of them say something (no more than matter are counted). */
  readonly characters: number;
  readonly wordCharacters: number;
  readonly lineBefore: string;
  readonly lineAfter: string;
  readonly hasTextBelow: boolean;
  readonly cursors: number;
  readonly isDiff: boolean;
  readonly isReadOnly: boolean;
  readonly lastChange: LastChange;
  readonly listed?: ListedText | undefined;
  /** Memory or a request on its way has the answer already. */
  readonly isAnswered: boolean;
}

export type Decision =
  | ({ readonly kind: "ask" } & Wait)
  | { readonly kind: "silent"; readonly reason: NoCompletionReason };

/** The first rule that speaks against it wins. A manual request meets only the rules of what cannot be completed at all. */
export function decide(situation: Situation, rhythm: Rhythm, leastMs: number, now: number): Decision {
  const reason = impossible(situation) ?? (situation.trigger === "manual" ? undefined : unwanted(situation));
  if (reason !== undefined) return { kind: "silent", reason };
  if (situation.trigger === "manual" || situation.isAnswered) return { kind: "ask", waitMs: 0, doubtMs: 0 };
  return { kind: "ask", ...waitOf(rhythm, invitationOf(situation), leastMs, now) };
}

function impossible(situation: Situation): NoCompletionReason | undefined {
  const schemes: readonly string[] = TRIGGER.schemes;
  if (!schemes.includes(situation.scheme)) return `scheme-not-supported(${situation.scheme})`;
  if (situation.characters > TRIGGER.mostCharacters) return "document-too-large";
  if (situation.isReadOnly) return "read-only-document";
  // The list's item would replace what is there; only an offer that begins with it can be shown beside it.
  if (situation.listed !== undefined && !extendsTyped(situation.listed)) return "list-item-differs";
  return undefined;
}

function unwanted(situation: Situation): NoCompletionReason | undefined {
  const { lineBefore, lineAfter, lastChange } = situation;
  if (!situation.isLanguageOn) return `language-off(${situation.languageId})`;
  if (situation.isDiff) return "diff-editor";
  if (situation.cursors > 1) return "several-cursors";
  if (lastChange === "undone") return "after-undo";
  if (lastChange === "deleted") return "after-deletion";
  if (!ONLY_CLOSERS.test(lineAfter)) return "code-right-of-cursor";
  if (situation.wordCharacters < TRIGGER.leastCharacters) return "too-little-text";
  if (FINISHED.test(lineBefore) && lineBefore.trim().length > 1) return "finished-line";
  return undefined;
}

function extendsTyped({ text, typed }: ListedText): boolean {
  return text.toLowerCase().startsWith(typed.toLowerCase());
}

function invitationOf({ lineBefore, lineAfter, hasTextBelow }: Situation): number {
  const { triggerCharacter, nothingRightOnLine, nothingBelow } = TRIGGER.invitation;
  return (
    (lineBefore === "" || TRIGGER_CHARACTER.test(lineBefore) ? triggerCharacter : 0) +
    (lineAfter.trim() === "" ? nothingRightOnLine : 0) +
    (hasTextBelow ? 0 : nothingBelow)
  );
}
