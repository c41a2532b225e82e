// What the index left out, reason by reason, in the panel's words: a title, what to do about it, the setting that decides.
// No editor here, so that tests can read it.
import type { SkippedFiles, SkippedPath } from "../engine/protocol.ts";

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
  secret: { title: "Secrets", remedy: "It is never indexed, so that no completion repeats it." },
  symlink: { title: "Links" },
  unreadable: { title: "Unreadable", remedy: "Give the user that runs the editor the right to read it." },
  vanished: { title: "Vanished", remedy: "The next pass looks again." },
  unsupported: { title: "Other kinds of files" },
};

/** A reason this version has no words for keeps its own. */
export function leftOutReasons({ reasons }: SkippedFiles): readonly LeftOutReason[] {
  return reasons.map(({ reason, meaning, count, files }) => {
    const { title = capitalised(reason.replaceAll("-", " ")), remedy, setting } = WORDS[reason] ?? {};
    const sentence = [`${capitalised(meaning)}.`, remedy].filter((part) => part !== undefined).join(" ");
    return { reason, title, sentence, ...(setting === undefined ? {} : { setting }), count, files };
  });
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
