// What is known of the moment in which a completion is asked for, before the reader runs.

/** How the text came to be as it is. `undone` covers redo; `none` stands before the first change of a document. */
export type LastChange = "none" | "typed" | "inserted" | "deleted" | "undone" | "accepted";

export interface Signals {
  /** `manual`: the person asked by a command; nothing may keep the engine silent but having nothing to say. */
  readonly trigger: "automatic" | "manual";
  /** The editor's language id; `""` where nobody said. */
  readonly languageId: string;
  readonly lastChange: LastChange;
  /** Since the document last changed; Infinity before its first change. */
  readonly sinceChangeMs: number;
  /** Mean pause between the last keystrokes, pauses for thought left out. */
  readonly typingIntervalMs: number;
  /** Answers of this session that were shown, of the last few, and how many of them were accepted. */
  readonly shownLately: number;
  readonly acceptedLately: number;
  /** Why several lines or one were asked for; see `lines.ts`. */
  readonly shape: string;
}

/** The command line's and the evaluation's: someone asked for exactly this. */
export const ASKED_BY_HAND: Signals = {
  trigger: "manual",
  languageId: "",
  lastChange: "none",
  sinceChangeMs: Number.POSITIVE_INFINITY,
  typingIntervalMs: 0,
  shownLately: 0,
  acceptedLately: 0,
  shape: "line",
};
