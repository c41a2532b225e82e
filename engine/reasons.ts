// Why nothing was offered, or why text was changed, in words for a person.
import { ENGINE_ERRORS, type HiddenBy, type NoCompletionReason } from "./errors.ts";

// Records over the whole type: a reason without words does not compile.
type FixedReason = Exclude<NoCompletionReason, `${string}(${string})`>;
type KindOf<Reason> = Reason extends `${infer Kind}(${string})` ? Kind : never;
type NamedKind = KindOf<NoCompletionReason>;

const FIXED: Readonly<Record<FixedReason, string>> = {
  cancelled: "You typed on or moved away, or the editor no longer wanted an answer.",
  superseded: "A newer request took its place.",
  "stale-document": "The text changed while the answer was computed.",
  "unknown-document": "The editor has not told the engine of this document.",
  "not-ready": "The engine is still loading. Try again in a moment.",
  off: "Completions are off. “Precis: Toggle Completions” turns them on.",
  deadline: "It took longer than the setting `precis.completion.deadlineMs` allows.",
  "cursor-past-end": "The cursor stands behind the end of the text the engine knows.",
  "empty-document": "There is nothing to go by yet: the document is empty.",
  "mode-not-supported": "The model pack cannot serve the chosen mode.",
  "nothing-generated": "The reader had nothing to add here: its first word was the end.",
  "document-too-large": "The document is larger than 4 million characters.",
  "read-only-document": "The document cannot be written.",
  "diff-editor": "This is the old side of a comparison; nothing is offered there while typing. A manual trigger works.",
  "several-cursors": "There are several cursors, and one offer fits one place. A manual trigger works.",
  "after-undo": "The last change was an undo or redo: you are looking for what was, not for what comes.",
  "after-deletion": "You have just deleted something. The next character you type asks again.",
  "list-item-differs":
    "The selected item of the editor's list does not begin with what you typed, so no offer can go on from it.",
  "code-right-of-cursor": "Code stands right of the cursor. A manual trigger completes there too.",
  "too-little-text": "There is next to nothing in the document to go by. A manual trigger works.",
  "finished-line": "The line is finished. Begin the next one, or trigger by hand.",
};

/** Every reason that is one word for itself. */
export const SILENCES = Object.keys(FIXED) as readonly FixedReason[];

/** Reasons that name what they are about. */
const NAMED: Readonly<Record<NamedKind, (name: string) => string>> = {
  "language-off": (language) =>
    `Completions while typing are off for ${language}: the model pack was not trained on it, or the setting \`precis.languages\` says so. A manual trigger works.`,
  "scheme-not-supported": (scheme) =>
    `Documents of the kind \`${scheme}:\` are shown or belong to a tool; nothing is offered there.`,
  filtered: (filter) => `What the reader wrote was dropped: ${FILTER_MEANINGS[filter] ?? filter}.`,
  "reader-failed": (code) => {
    const { action } = (ENGINE_ERRORS as Readonly<Record<string, { action: string }>>)[code] ?? {};
    return `The reader's server did not answer as it should. ${action ?? ""}`.trimEnd();
  },
  hidden: (by) => (HIDDEN as Readonly<Record<string, string>>)[by] ?? `It was hidden: ${by}.`,
};

/** Filters by the name they carry in traces and in `filtered(name)`. */
export const FILTER_MEANINGS: Readonly<Record<string, string>> = {
  "stop-tokens": "a control token of a model stood in the text; it ends there",
  "broken-characters": "the text ended inside a character",
  prose: "the text was chat or markdown, not code",
  "leading-blank-lines": "blank lines before the first line of code were taken away",
  "partial-token": "the reader ran out of tokens inside a word; the half word was cut",
  "line-limit": "cut to the number of lines asked for",
  "blank-line": "several lines end at the first blank one",
  "trailing-space": "white space at the end was taken away",
  indentation: "indented as the file is",
  "scope-end": "it would have left the block that the cursor stands in",
  empty: "nothing but white space was left",
  repetition: "the reader repeated itself",
  "echo-above": "it repeats the lines above",
  "already-below": "it stands below already",
  "text-right-of-cursor": "it takes in what stands right of the cursor, instead of doubling it",
  brackets: "brackets were balanced with what stands around the cursor",
  syntax: "the file parsed before and would not parse with it",
  "line-breaks": "line breaks are the file's own",
};

const HIDDEN: Readonly<Record<HiddenBy, string>> = {
  gate: "You would probably not have taken it. The setting `precis.completion.gate` says how sure the gate wants to be; a manual trigger shows it all the same.",
  "unknown-name": "It names something that exists neither in this file nor in the workspace.",
  "too-short": "It was so short that typing it is quicker than looking at it.",
};

/** A sentence; for a reason this version does not know, the reason itself. */
export function meaningOf(reason: NoCompletionReason): string {
  const [, kind = "", name = ""] = /^([\w-]+)\((.*)\)$/.exec(reason) ?? [];
  const named = (NAMED as Readonly<Record<string, (name: string) => string>>)[kind];
  if (named !== undefined) return named(name);
  return (FIXED as Readonly<Record<string, string>>)[reason] ?? `${reason}.`;
}
