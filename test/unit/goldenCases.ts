// Golden cases as readable text: `## name`, options, then `--- section` blocks. `│` is the cursor, `→` a tab, `␍` a carriage return.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface GoldenCase {
  readonly name: string;
  readonly file: string;
  readonly options: Readonly<Record<string, string>>;
  readonly sections: Readonly<Record<string, string>>;
}

export function readGoldenCases(dir: string): GoldenCase[] {
  return readdirSync(dir)
    .filter((file) => file.endsWith(".txt"))
    .sort()
    .flatMap((file) => parseCases(file, readFileSync(join(dir, file), "utf8")));
}

function parseCases(file: string, text: string): GoldenCase[] {
  return text
    .split(/^## /m)
    .slice(1)
    .map((block) => parseCase(file, block));
}

function parseCase(file: string, block: string): GoldenCase {
  const [head = "", ...parts] = block.replace(/\n+$/, "").split(/^--- /m);
  const [name = "", ...options] = head.trim().split("\n");
  const sections = parts.map((part) => {
    const [title = "", ...lines] = part.split("\n");
    // The break before the next mark belongs to the mark.
    if (part.endsWith("\n")) lines.pop();
    return [title.trim(), lines.join("\n").replaceAll("→", "\t").replaceAll("␍", "\r")] as const;
  });
  return {
    name,
    file,
    options: Object.fromEntries(options.map((line) => line.split(/:\s*/, 2) as [string, string])),
    sections: Object.fromEntries(sections),
  };
}

/** The text without its cursor mark, and where that stood. */
export function cutCursor(marked: string): { text: string; offset: number } {
  const offset = marked.indexOf("│");
  if (offset === -1 || marked.indexOf("│", offset + 1) !== -1) throw new Error(`one cursor is wanted in:\n${marked}`);
  return { text: marked.slice(0, offset) + marked.slice(offset + 1), offset };
}
