// Raw text -> what is offered, through an ordered list of small pure filters. Order is meaning.

export interface Offer {
  readonly text: string;
  /** UTF-16 code units right of the cursor that accepting replaces. */
  readonly replaceRight: number;
}

export interface Surroundings {
  /** The cursor's line left and right of it. */
  readonly lineBefore: string;
  readonly lineAfter: string;
  /** First non-blank line below the cursor's; `""` at the end of the file. */
  readonly lineBelow: string;
  readonly maxLines: number;
  /** What the file ends its lines with. */
  readonly lineBreak: "\n" | "\r\n";
}

/** A filter changes the offer or drops it by answering undefined. */
interface Filter {
  readonly name: string;
  readonly apply: (offer: Offer, around: Surroundings) => Offer | undefined;
}

const FILTERS: readonly Filter[] = [
  { name: "broken-characters", apply: dropBrokenTail },
  { name: "leading-blank-lines", apply: dropLeadingBlankLines },
  { name: "line-limit", apply: cutToLines },
  { name: "trailing-space", apply: (offer) => ({ ...offer, text: offer.text.trimEnd() }) },
  { name: "indentation", apply: takeIndentation },
  { name: "empty", apply: (offer) => (offer.text.trim() === "" ? undefined : offer) },
  { name: "repetition", apply: dropRepetition },
  { name: "already-below", apply: dropIfBelow },
  { name: "text-right-of-cursor", apply: replaceRepeatedRight },
  { name: "line-breaks", apply: matchLineBreaks },
];

/** The offer, or the name of the filter that dropped it. */
export function postprocess(raw: string, around: Surroundings): Offer | { droppedBy: string } {
  let offer: Offer = { text: raw, replaceRight: 0 };
  for (const filter of FILTERS) {
    const next = filter.apply(offer, around);
    if (next === undefined) return { droppedBy: filter.name };
    offer = next;
  }
  return offer;
}

/** The budget may end inside a multi-byte character. */
function dropBrokenTail(offer: Offer): Offer {
  return { ...offer, text: offer.text.replace(/\uFFFD+$/, "") };
}

/** On an empty line the break before the text would leave that line empty. */
function dropLeadingBlankLines(offer: Offer, around: Surroundings): Offer {
  if (around.lineBefore.trim() !== "") return offer;
  return { ...offer, text: offer.text.replace(/^(?:[ \t]*\r?\n)+/, "") };
}

/** Blank lines before the first line that says something do not count. */
function cutToLines(offer: Offer, around: Surroundings): Offer {
  const lines = offer.text.split("\n");
  let said = 0;
  const until = lines.findIndex((line) => {
    if (line.trim() !== "") said += 1;
    return said === around.maxLines;
  });
  return until === -1 ? offer : { ...offer, text: lines.slice(0, until + 1).join("\n") };
}

/** The reader wrote the line from its beginning; the cursor stands behind its indentation already. */
function takeIndentation(offer: Offer, around: Surroundings): Offer | undefined {
  if (around.lineBefore === "" || around.lineBefore.trim() !== "" || offer.text === "") return offer;
  // Less indentation would end the block in which the person has just opened a line.
  if (!offer.text.startsWith(around.lineBefore)) return undefined;
  return { ...offer, text: offer.text.slice(around.lineBefore.length) };
}

/** A reader that lost its way repeats itself to the end. Rulers such as `# -----` are meant. */
function dropRepetition(offer: Offer): Offer | undefined {
  const [, unit] = /(.{1,20}?)\1{7,}.{0,19}$/su.exec(offer.text) ?? [];
  return unit !== undefined && /[\p{L}\p{N}]/u.test(unit) ? undefined : offer;
}

/** Only whole lines count, and a lone bracket may well be needed twice. */
function dropIfBelow(offer: Offer, around: Surroundings): Offer | undefined {
  const line = (around.lineBefore + offer.text).trim();
  const isWord = /[\p{L}\p{N}]/u.test(line);
  return isWord && line === around.lineBelow.trim() ? undefined : offer;
}

/** Text right of the cursor that the offer ends with is replaced, so that brackets and quotes are not doubled. */
function replaceRepeatedRight(offer: Offer, around: Surroundings): Offer | undefined {
  const right = around.lineAfter.trimEnd();
  if (right.trim() === "") return offer;
  if (offer.text.endsWith(right.trimStart())) return { ...offer, replaceRight: right.length };
  // Anything but closers at the right means the cursor stands inside code that one line cannot continue.
  return /^[\s)\]}"'`,:;]*$/.test(right) && !offer.text.includes("\n") ? offer : undefined;
}

function matchLineBreaks(offer: Offer, around: Surroundings): Offer {
  return around.lineBreak === "\n" ? offer : { ...offer, text: offer.text.replace(/\r?\n/g, "\r\n") };
}
