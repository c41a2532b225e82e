// The account of the last request, for a person: what was asked, found, read and filtered.
import type { Completion } from "./completion/complete.ts";

export interface LastRequest {
  readonly path: string;
  /** 1-based. */
  readonly line: number;
  readonly column: number;
  readonly completion: Completion;
}

/** Markdown; code is fenced with more backticks than it holds. */
export function explain(last: LastRequest | undefined): string {
  if (last === undefined)
    return "# Last completion\n\nNothing has been asked yet. Type in a Python file and run this again.\n";
  const { completion } = last;
  const { timings } = completion;
  const candidates = completion.candidates.map(({ node, score, retriever }, rank) => {
    const where =
      node.level === "chunk" ? `${node.path}:${node.startLine}–${node.endLine}` : node.path || "(repository)";
    return `| ${rank + 1} | ${where} | ${node.level} | ${score.toFixed(4)} | ${retriever} |`;
  });
  const stages = Object.entries(completion.trace.stages).map(([stage, ms]) => `| ${stage} | ${ms.toFixed(1)} |`);
  return [
    "# Last completion",
    "",
    `\`${last.path}:${last.line}:${last.column}\`, mode **${completion.mode}**`,
    "",
    completion.reason === undefined
      ? `Offered:\n\n${fence(completion.text)}`
      : `Nothing was offered: **${completion.reason}**.`,
    "",
    "## What the reader read",
    "",
    `${completion.promptTokens} positions: ${completion.contextTokens} of retrieved text, ${completion.pseudoTokens} pseudo-tokens, the rest around the cursor.`,
    `It wrote ${timings.tokens} tokens; the first came after ${timings.ttftMs.toFixed(0)} ms, all after ${timings.totalMs.toFixed(0)} ms.`,
    ...Object.entries(completion.trace.facts).map(([name, value]) => `- ${name}: \`${JSON.stringify(value)}\``),
    "",
    "## Candidates it used",
    "",
    ...(candidates.length === 0
      ? ["None."]
      : ["| rank | where | level | score | retrievers |", "|---|---|---|---|---|", ...candidates]),
    "",
    "## Stages",
    "",
    "| stage | ms |",
    "|---|---|",
    ...stages,
    ...(completion.problems.length === 0
      ? []
      : ["", "## Problems", "", ...completion.problems.map((p) => `- ${p.code}: ${p.detail}`)]),
    "",
  ].join("\n");
}

function fence(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const marks = "`".repeat(longest + 1);
  return `${marks}python\n${text}\n${marks}`;
}
