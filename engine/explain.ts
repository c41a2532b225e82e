// The account of the last request, for a person: what was asked, read, found, written and kept back, and how long it took.
// Markdown, so that any editor can show it; places in files are links relative to the workspace folder, `path#L3-L12`.
import type { Completion } from "./completion/complete.ts";
import type { Candidate } from "./domain.ts";
import { FILTER_MEANINGS, meaningOf } from "./reasons.ts";

export interface LastRequest {
  /** Absolute path of the workspace folder; absent for a document outside all of them. */
  readonly root?: string;
  /** Address of the document, of a notebook's cell its own; absent outside an editor. */
  readonly uri?: string;
  readonly path: string;
  /** 1-based. */
  readonly line: number;
  readonly column: number;
  readonly completion: Completion;
  /** Nobody chose the mode. */
  readonly isModeLeftToPack?: boolean;
}

const TITLE = "# Last completion";

/** Facts of the trace that have their own place in the account. */
const TOLD_ELSEWHERE = new Set(["raw", "filters"]);

/** `note`: what a person must know first, such as that the last request was another document's. */
export function explain(last: LastRequest | undefined, note = ""): string {
  if (last === undefined)
    return [TITLE, note, "Nothing has been asked yet. Type in a file and run this again.\n"]
      .filter(Boolean)
      .join("\n\n");
  const { reused } = last.completion;
  // What was read and written is told of the request that did it.
  const made = reused === undefined ? last : { ...last, completion: reused.account };
  const sections = [
    TITLE,
    note,
    outcome(last),
    writing(made),
    others(last),
    reading(made),
    candidates(made),
    facts(made),
    stages(made),
    problems(made),
  ];
  return `${sections.filter((section) => section !== "").join("\n\n")}\n`;
}

function outcome({ path, line, column, completion, isModeLeftToPack = false }: LastRequest): string {
  const { reason, text, replaceRight, timings, mode } = completion;
  const where = `${link(path, line, line, `${path}:${line}:${column}`)} · mode **${mode}**${isModeLeftToPack ? " (the model's own choice)" : ""} · ${milliseconds(timings.totalMs)}`;
  const head = [where];
  if (reason !== undefined)
    return [...head, `**Nothing was offered** (\`${reason}\`). ${meaningOf(reason)}`].join("\n\n");
  const replaced =
    replaceRight === 0 ? [] : [`Accepting replaces ${count(replaceRight, "character")} right of the cursor.`];
  return [...head, "Offered:", fence(text, path), ...replaced, ...again(completion)].join("\n\n");
}

/** That nothing was computed, and whose account follows. */
function again({ reused }: Completion): string[] {
  if (reused === undefined) return [];
  const { origin, typed, account } = reused;
  const since = typed === 0 ? "" : `, ${count(typed, "character")} further`;
  const took = milliseconds(account.timings.totalMs);
  return [
    `**Reused**: ${origin}${since}. The reader was not asked again; what follows is the account of the request that made it, which took ${took}.`,
  ];
}

/** The other offers of a manual trigger. */
function others({ path, completion }: LastRequest): string {
  const rest = completion.others ?? [];
  if (rest.length === 0) return "";
  const each = rest.map(
    ({ text, meanLogProb }) => `Mean log-probability of a token ${meanLogProb.toFixed(2)}:\n\n${fence(text, path)}`,
  );
  return [
    "## Also offered",
    "The editor's commands for the next and the previous suggestion show these.",
    ...each,
  ].join("\n\n");
}

/** What the reader wrote, where it is not what was offered, and which filters had a hand in it. */
function writing({ path, completion }: LastRequest): string {
  const { raw } = completion.trace.facts;
  const fired = String(completion.trace.facts["filters"] ?? "")
    .split(", ")
    .filter((name) => name !== "");
  const isChanged = typeof raw === "string" && raw.trim() !== "" && raw.trim() !== completion.text.trim();
  if (!isChanged && fired.length === 0) return "";
  const rows = fired.map((name) => `- **${name}**: ${FILTER_MEANINGS[name] ?? name}`);
  return [
    "## What the reader wrote",
    ...(isChanged ? [fence(raw, path)] : []),
    ...(rows.length === 0 ? [] : [`Filters that fired, in order:\n\n${rows.join("\n")}`]),
  ].join("\n\n");
}

function reading({ path, completion }: LastRequest): string {
  const { promptTokens, contextTokens, pseudoTokens, timings, prompt } = completion;
  if (promptTokens === 0) return "";
  const rest = promptTokens - contextTokens - pseudoTokens;
  const around = completion.trace.facts["names"] === undefined ? "around the cursor" : "names and around the cursor";
  const parts = [
    `${promptTokens} positions: ${rest} ${around}, ${contextTokens} of retrieved text, ${pseudoTokens} pseudo-tokens.`,
    `It wrote ${count(timings.tokens, "token")}; the first came after ${milliseconds(timings.ttftMs)}.`,
  ];
  const windows =
    prompt === undefined
      ? []
      : [
          folded(`Before the cursor, ${count(linesOf(prompt.prefix), "line")}`, prompt.prefix, path),
          folded(`Behind the cursor, ${count(linesOf(prompt.suffix), "line")}`, prompt.suffix, path),
        ];
  return ["## What the reader read", parts.join(" "), ...windows.filter((text) => text !== "")].join("\n\n");
}

function candidates({ completion }: LastRequest): string {
  const { mode, pseudoTokens } = completion;
  if (completion.promptTokens === 0 || mode === "none") return "";
  const perNode = completion.candidates.length === 0 ? 0 : pseudoTokens / completion.candidates.length;
  const rows = completion.candidates.map(
    (candidate, rank) =>
      `| ${rank + 1} | ${placeOf(candidate)} | ${candidate.node.level} | ${candidate.score.toFixed(3)} | ${candidate.retriever.replaceAll("+", ", ")} |`,
  );
  const title =
    mode === "compressed" ? `## Nodes it read, ${perNode} pseudo-tokens each` : "## Code it read from other files";
  if (rows.length === 0)
    return `${title.replace(/,.*/, "")}\n\nNone: nothing in the index is like the code around the cursor.`;
  return [title, ["| | place | level | score | found by |", "|-:|---|---|-:|---|", ...rows].join("\n")].join("\n\n");
}

function placeOf({ node }: Candidate): string {
  if (node.level === "repository") return "the whole workspace folder";
  if (node.level === "directory") return `${escaped(node.path)}/`;
  if (node.level === "file") return link(node.path, 1, 1, node.path);
  return link(node.path, node.startLine, node.endLine, `${node.path}:${node.startLine}–${node.endLine}`);
}

function facts({ completion }: LastRequest): string {
  const rows = Object.entries(completion.trace.facts)
    .filter(([name]) => !TOLD_ELSEWHERE.has(name))
    .map(([name, value]) => `- ${name}: ${typeof value === "number" ? Number(value.toFixed(3)) : escaped(value)}`);
  return rows.length === 0 ? "" : `## Noted on the way\n\n${rows.join("\n")}`;
}

function stages({ completion }: LastRequest): string {
  const { stages: spent } = completion.trace;
  const total = Math.max(completion.timings.totalMs, 0.1);
  const rows = Object.entries(spent).map(
    ([stage, ms]) => `| ${stage} | ${ms.toFixed(1)} | ${Math.round((100 * ms) / total)} |`,
  );
  return rows.length === 0 ? "" : ["## Time", ["| stage | ms | % |", "|---|-:|-:|", ...rows].join("\n")].join("\n\n");
}

function problems({ completion }: LastRequest): string {
  if (completion.problems.length === 0) return "";
  const rows = completion.problems.map((problem) => `- \`${problem.code}\`: ${escaped(problem.detail)}`);
  return `## Problems\n\n${rows.join("\n")}`;
}

function link(path: string, from: number, to: number, text: string): string {
  const lines = from === to ? `L${from}` : `L${from}-L${to}`;
  return `[${escaped(text)}](${encodeURI(path).replace(/[()#?]/g, encodeURIComponent)}#${lines})`;
}

function folded(title: string, text: string, path: string): string {
  return text === "" ? "" : `<details><summary>${title}</summary>\n\n${fence(text, path)}\n\n</details>`;
}

/** More backticks than the code holds; the language is the file's extension, which is what highlighters know it by. */
function fence(text: string, path: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const marks = "`".repeat(longest + 1);
  return `${marks}${/\.(\w+)$/.exec(path)?.[1] ?? ""}\n${text}\n${marks}`;
}

/** Text that Markdown leaves as it is. */
function escaped(text: string): string {
  return text.replace(/[\\`*_[\]<>|#]/g, "\\$&").replace(/\s*\n\s*/g, " ");
}

function linesOf(text: string): number {
  return text === "" ? 0 : text.split("\n").length;
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}

function milliseconds(ms: number): string {
  return `${ms.toFixed(0)} ms`;
}
