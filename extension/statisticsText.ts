// Words for what became of completions. No editor here, so that tests can read it.
import { NO_COUNTS, type OfferCounts, type Statistics } from "../engine/protocol.ts";

/** Links of the page that are no addresses. */
export const FORGET_LINK = "#forget";
export const REFRESH_LINK = "#refresh";

/** So that a narrow panel does not break a date. */
const UNBROKEN_HYPHEN = "\u2011";

/** Days with something in them that are listed one by one. */
const DAYS_SHOWN = 14;

const PRIVATE =
  "Counted by the engine on this machine, for this workspace, in one small file of the extension's storage. Only you see it: Precis sends nothing to anyone, so the editor's telemetry setting has nothing to turn off here.";

/** Markdown. `isLearning`: whether the gate may learn from answers. */
export function statisticsText({ total, days, gate }: Statistics, isLearning: boolean): string {
  const head = ["# Precis statistics", PRIVATE, `[Refresh](${REFRESH_LINK}) · [Forget all of it](${FORGET_LINK})`];
  const end = ["## What is learned from it", gateText(gate, isLearning)];
  if (total.shown === 0) return page([...head, "No completion has been on the screen yet.", ...end]);
  return page([
    ...head,
    table(["", "Completions", "Share"], rowsOf(total)),
    `${number(total.characters)} characters were taken instead of typed. A completion that was there for less than a quarter of a second counts as not shown.`,
    "## Day by day",
    "Taken is accepted as a whole or in part; kept is still there after 30 s.",
    table(
      COLUMNS("Day"),
      grouped(days, ({ day }) => day.replaceAll("-", UNBROKEN_HYPHEN))
        .slice(-DAYS_SHOWN)
        .reverse()
        .map(line),
    ),
    "## Language by language",
    table(
      COLUMNS("Language"),
      grouped(days, ({ language }) => language)
        .sort(([, a], [, b]) => b.shown - a.shown)
        .map(line),
    ),
    ...end,
  ]);
}

function rowsOf(total: OfferCounts): string[][] {
  const judged = total.survived + total.lost;
  const row = (name: string, count: number, of: number) => [name, number(count), share(count, of)];
  return [
    ["Shown", number(total.shown), ""],
    row("Accepted", total.accepted, total.shown),
    row("Accepted in part: some words or lines", total.acceptedPart, total.shown),
    row("Typed by hand just as shown", total.typed, total.shown),
    row("Rejected: something else was done", total.rejected, total.shown),
    [
      `Still there 30 s after, of ${number(judged)} judged so far`,
      number(total.survived),
      share(total.survived, judged),
    ],
  ];
}

const COLUMNS = (name: string): string[] => [name, "Shown", "Taken", "Typed", "Rejected", "Kept"];

function line([name, counts]: readonly [string, OfferCounts]): string[] {
  const { shown, accepted, acceptedPart, typed, rejected, survived, lost } = counts;
  const kept = survived + lost === 0 ? "–" : `${number(survived)} of ${number(survived + lost)}`;
  const counted = [shown, accepted + acceptedPart, typed, rejected].map(number);
  return [name.replace(/[\\`*_[\]<>|#]/g, "\\$&"), ...counted, kept];
}

function gateText(gate: Statistics["gate"], isLearning: boolean): string {
  if (gate === null) return "Nothing: the model pack has no gate that would weigh completions before they are shown.";
  if (!isLearning)
    return "Nothing: the setting `precis.completion.learn` is off. The gate weighs completions as it was shipped.";
  const answers = gate.answers === 1 ? "one answer" : `${number(gate.answers)} answers`;
  return `The gate, which weighs a completion before it is shown, has learned from ${answers} of yours. The setting \`precis.completion.learn\` turns that off; forgetting makes it the shipped one again.`;
}

function grouped(
  days: Statistics["days"],
  nameOf: (row: Statistics["days"][number]) => string,
): [string, OfferCounts][] {
  return [...Map.groupBy(days, nameOf)].map(([name, rows]) => [name, rows.reduce<OfferCounts>(sum, NO_COUNTS)]);
}

function sum(a: OfferCounts, b: OfferCounts): OfferCounts {
  const total = { ...a };
  for (const name of Object.keys(NO_COUNTS) as (keyof OfferCounts)[]) total[name] += b[name];
  return total;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (row: readonly string[]) => `| ${row.join(" | ")} |`;
  const rule = head.map((_, column) => (column === 0 ? "---" : "-:"));
  return [cells(head), `|${rule.join("|")}|`, ...rows.map(cells)].join("\n");
}

function share(part: number, whole: number): string {
  return whole === 0 ? "–" : `${Math.round((100 * part) / whole)} %`;
}

function number(n: number): string {
  return n.toLocaleString("en");
}

function page(sections: readonly string[]): string {
  return `${sections.join("\n\n")}\n`;
}
