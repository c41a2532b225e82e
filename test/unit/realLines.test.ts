// Lines that people wrote, offered where they stood: the filters must let them be.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createDocumentSyntax } from "../../engine/completion/documentSyntax.ts";
import { postprocess } from "../../engine/completion/postprocess.ts";
import { accepted, surroundingsOf } from "../../engine/completion/surroundings.ts";
import { loadLanguages } from "../../engine/languages/languages.ts";

const ROOT = join(import.meta.dirname, "../..");
const LINES = 300;

interface Line {
  readonly path: string;
  readonly before: string;
  readonly target: string;
  readonly after: string;
}

/** A control token in a line of code would end a generation there. */
function isCode(line: string): boolean {
  return /[\p{L}\p{N}]/u.test(line) && !line.includes("<|");
}

function linesOf(dir: string, extension: string): Line[] {
  const paths = readdirSync(join(ROOT, dir), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(extension))
    .sort();
  const all = paths.flatMap((path) => {
    const lines = readFileSync(join(ROOT, dir, path), "utf8").split("\n");
    return lines.flatMap((target, n) =>
      // A line that stands there twice cannot be told from one that is offered again.
      isCode(target) && target.trim() !== lines[n + 1]?.trim()
        ? {
            path,
            target,
            before: lines
              .slice(0, n)
              .map((line) => `${line}\n`)
              .join(""),
            after: lines
              .slice(n + 1)
              .map((line) => `\n${line}`)
              .join(""),
          }
        : [],
    );
  });
  const step = Math.max(1, Math.floor(all.length / LINES));
  return all.filter((_, n) => n % step === 0);
}

it.each([
  ["training", ".py"],
  ["engine", ".ts"],
  ["media", ".js"],
])("%s/**/*%s", async (dir, extension) => {
  const syntaxes = createDocumentSyntax(await loadLanguages());
  const lines = linesOf(dir, extension);
  expect(lines.length).toBeGreaterThan(100);
  const changed: unknown[] = [];
  const broken: unknown[] = [];
  for (const { path, before, target, after } of lines) {
    const cursor = { path, text: before + after, offset: before.length };
    const syntax = syntaxes.of(path, cursor.text, "");
    const place = syntax?.placeAt(cursor.text, cursor.offset);
    const circumstances = { maxLines: 1, isCutShort: false, stopTokens: [], syntax, place };
    const { offer, fired } = postprocess(target, surroundingsOf(cursor, circumstances));
    if (offer?.text.trimEnd() !== target.trimEnd()) changed.push({ path, target, offer, fired });
    // The file as it is parses, so the line with one word taken out, if offered, must leave it so too.
    const garbled = postprocess(
      target.replace(/[\p{L}\p{N}_]+(?!.*[\p{L}\p{N}_])/u, ""),
      surroundingsOf(cursor, circumstances),
    );
    const text = garbled.offer && accepted(cursor, garbled.offer);
    const wasSound = syntax?.errorsIn(cursor.text) === 0;
    if (wasSound && text !== undefined && syntax?.errorsIn(text) !== 0)
      broken.push({ path, target, text: garbled.offer });
  }
  expect(changed, "changed or dropped").toEqual([]);
  expect(broken, "accepted and no longer parsing").toEqual([]);
});
