// Whether accepting an offer leaves code that parsed parseable: the judge of post-processing, by the languages' grammars.
import { createDocumentSyntax } from "./completion/documentSyntax.ts";
import { accepted } from "./completion/surroundings.ts";
import { loadLanguages } from "./languages/languages.ts";

export interface Parses {
  /** The document with the target's line taken out. */
  readonly before: boolean;
  /** With the target's line in its place. */
  readonly truth: boolean;
  /** With what was offered; absent where nothing was. */
  readonly offer?: boolean;
  /** With the first line of what the reader wrote, no filter applied; absent where it wrote none. */
  readonly raw?: boolean;
}

export interface ParseScore {
  /** Tasks whose document parses before and with the truth, and for which something was offered. */
  readonly offered: number;
  /** Percent of them that parse with the offer. */
  readonly kept: number;
  /** Tasks whose document parses before and with the truth, and for which the reader wrote something. */
  readonly written: number;
  /** Percent of them that parse with what the reader wrote. */
  readonly keptRaw: number;
}

export interface Accepting {
  readonly path: string;
  /** The document without the line, and where in it the line belongs. */
  readonly text: string;
  readonly offset: number;
  readonly target: string;
  readonly offer: { readonly text: string; readonly replaceRight: number } | undefined;
  readonly raw: string;
}

export type ParseCheck = (accepting: Accepting) => Parses | undefined;

/** Undefined where a document has no grammar or is too long to be parsed for a completion. */
export async function createParseCheck(): Promise<ParseCheck> {
  const syntaxes = createDocumentSyntax(await loadLanguages());
  return ({ path, text, offset, target, offer, raw }) => {
    const syntax = syntaxes.of(path, text, "");
    if (syntax === undefined) return undefined;
    const parses = (document: string) => syntax.errorsIn(document) === 0;
    const cursor = { path, text, offset };
    const parsesWith = (line: string) => parses(accepted(cursor, { text: line, replaceRight: 0 }));
    const first = raw.split("\n").find((line) => line.trim() !== "");
    return {
      before: parses(text),
      truth: parsesWith(target),
      ...(offer === undefined ? {} : { offer: parses(accepted(cursor, offer)) }),
      ...(first === undefined ? {} : { raw: parsesWith(first) }),
    };
  };
}

export function scoreParses(all: readonly (Parses | undefined)[]): ParseScore {
  const sound = all.filter((parses) => parses?.before === true && parses.truth);
  const of = (kind: "offer" | "raw") => sound.map((parses) => parses?.[kind]).filter((it) => it !== undefined);
  const share = (flags: readonly boolean[]) =>
    flags.length === 0 ? 100 : (100 * flags.filter(Boolean).length) / flags.length;
  const offers = of("offer");
  const written = of("raw");
  return { offered: offers.length, kept: share(offers), written: written.length, keptRaw: share(written) };
}
