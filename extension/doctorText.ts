// Words for what the doctor found. No editor here, so that tests can read it.
import type { DoctorCheck, DoctorReport } from "../engine/protocol.ts";
import { providerTitle } from "./statusText.ts";

/** Links of the page that are no addresses. */
export const AGAIN_LINK = "#again";
export const LOG_LINK = "#log";

/** Markdown: what is wrong first, each with what to do, then all that is well. */
export function doctorText({ checks }: DoctorReport): string {
  const wrong = checks.filter(({ ok }) => !ok);
  const well = checks.filter(({ ok }) => ok);
  const head = [
    "# Precis: Doctor",
    wrong.length === 0
      ? "Everything that was looked at works."
      : `${wrong.length === 1 ? "One thing is" : `${wrong.length} things are`} wrong.`,
    `[Look again](${AGAIN_LINK}) · [Show the log](${LOG_LINK})`,
  ];
  const faults = wrong.flatMap(({ name, detail, fix }) => [
    `## ✗ ${capital(name)}`,
    ...(fix === undefined ? [] : [`**What to do:** ${escaped(fix)}`]),
    `Found: ${escaped(detail)}`,
  ]);
  return `${[...head, ...faults, ...(well.length === 0 ? [] : ["## Works", well.map(row).join("\n")])].join("\n\n")}\n`;
}

function row({ name, detail, fix }: DoctorCheck): string {
  return `- **${capital(name)}**: ${escaped(detail)}${fix === undefined ? "" : ` *${escaped(fix)}*`}`;
}

function capital(name: string): string {
  const text = providerTitle(name);
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** What the machine says is text, whatever characters are in it. */
function escaped(text: string): string {
  return text.replace(/[\\`*_{}[\]<>#|]/g, "\\$&").replace(/\s*\n\s*/g, "; ");
}
