// What the index left out, reason by reason, in the panel's words: a title, what to do about it, the setting that decides.
// No editor here, so that tests can read it.
import type { FolderIndex, SkippedFiles, SkippedPath } from "../engine/protocol.ts";

export interface LeftOutReason {
  readonly reason: string;
  readonly title: string;
  /** What the reason means, and what brings such files into the index. */
  readonly sentence: string;
  /** A setting to open; absent where none decides. */
  readonly setting?: string;
  readonly count: number;
  /** The first of them. */
  readonly files: readonly SkippedPath[];
}

interface Words {
  readonly title: string;
  readonly remedy?: string;
  readonly setting?: string;
}

const WORDS: Readonly<Record<string, Words>> = {
  ignored: {
    title: "Ignored",
    remedy: "Take the pattern out there, or add “!path” to a .precisignore file.",
    setting: "precis.index.exclude",
  },
  vendored: { title: "Code of others" },
  generated: { title: "Generated" },
  minified: { title: "Minified" },
  data: { title: "Data" },
  binary: { title: "Binary" },
  "not-utf8": { title: "Another encoding", remedy: "Save the file as UTF-8 to have it indexed." },
  "too-large": {
    title: "Too large",
    remedy: "Raise the limit to have the file indexed.",
    setting: "precis.index.maxFileKiB",
  },
  "no-room": {
    title: "No room",
    remedy: "Raise the limit to have the file indexed.",
    setting: "precis.index.maxDiskMiB",
  },
  secret: { title: "Secrets", remedy: "It is never indexed, so that no completion repeats it." },
  symlink: { title: "Links" },
  unreadable: { title: "Unreadable", remedy: "Give the user that runs the editor the right to read it." },
  vanished: { title: "Vanished", remedy: "The next pass looks again." },
  unsupported: { title: "Other kinds of files" },
};

export interface LeftOut {
  /** How much, or why it is not known. */
  readonly sum: string;
  readonly reasons: readonly LeftOutReason[];
}

/** A reason this version has no words for keeps its own. `folders` say whether this window has looked. */
export function leftOutOf({ reasons }: SkippedFiles, folders: readonly FolderIndex[]): LeftOut {
  const total = reasons.reduce((sum, { count }) => sum + count, 0);
  return { sum: sumText(total, folders), reasons: reasons.map(rowOf) };
}

function rowOf({ reason, meaning, count, files }: SkippedFiles["reasons"][number]): LeftOutReason {
  const { title = capitalised(reason.replaceAll("-", " ")), remedy, setting } = WORDS[reason] ?? {};
  const sentence = [`${capitalised(meaning)}.`, remedy].filter((part) => part !== undefined).join(" ");
  return { reason, title, sentence, ...(setting === undefined ? {} : { setting }), count, files };
}

function sumText(total: number, folders: readonly FolderIndex[]): string {
  if (folders.length === 0) return "No folder is open.";
  if (folders.every(({ readOnly }) => readOnly)) return "The window that writes this index lists it.";
  if (folders.every(({ indexedAt }) => indexedAt === null)) return "Known when the folder has been gone through.";
  if (total === 0) return "Nothing: every file is in the index.";
  const what = total === 1 ? "file or folder" : "files and folders";
  return `${total.toLocaleString("en")} ${what}; completions never see what is in them. A folder counts as one.`;
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
