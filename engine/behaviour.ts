// What one person's answers leave behind, in one small file of the engine's storage folder: counts per day and language,
// and how far the gate has moved from the shipped one. Never in the workspace, never sent anywhere; `forget` empties it.
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Ajv } from "ajv";
import { type GateShift, NO_SHIFT } from "./completion/gate.ts";
import { errnoOf, messageOf, type Problem } from "./errors.ts";
import type { Fate } from "./outcomes.ts";
import { NO_COUNTS, type OfferCounts } from "./protocol.ts";

const FILE = "behaviour.json";

/** Days kept; a year and a month, so that a month can be compared with the same of last year. */
const DAYS = 400;

/** The file. Days are local dates, `2026-11-21`; languages the editor's ids. */
interface Kept {
  readonly schemaVersion: 1;
  days: Record<string, Record<string, OfferCounts>>;
  gate: { reader: string; shift: GateShift };
}

const COUNT = { type: "integer", minimum: 0 } as const;
const SCHEMA = {
  type: "object",
  required: ["schemaVersion", "days", "gate"],
  properties: {
    schemaVersion: { const: 1 },
    days: {
      type: "object",
      propertyNames: { pattern: "^\\d{4}-\\d{2}-\\d{2}$" },
      additionalProperties: {
        type: "object",
        additionalProperties: {
          type: "object",
          required: Object.keys(NO_COUNTS),
          properties: Object.fromEntries(Object.keys(NO_COUNTS).map((name) => [name, COUNT])),
        },
      },
    },
    gate: {
      type: "object",
      required: ["reader", "shift"],
      properties: {
        reader: { type: "string" },
        shift: {
          type: "object",
          required: ["bias", "weights", "answers"],
          properties: {
            bias: { type: "number" },
            weights: { type: "object", additionalProperties: { type: "number" } },
            answers: COUNT,
          },
        },
      },
    },
  },
} as const;

/** Open for one session; `save` adds what changed to the file, which is every window's. */
export class Behaviour {
  readonly #file: string;
  #kept: Kept;
  /** As it was read or saved last. */
  #saved: Kept;
  #isChanged = false;

  constructor(file: string, kept: Kept = nothing()) {
    this.#file = file;
    this.#kept = kept;
    this.#saved = structuredClone(kept);
  }

  /** The shift learned with that reader; none for another one's. */
  shiftFor(reader: string): GateShift {
    return this.#kept.gate.reader === reader ? this.#kept.gate.shift : NO_SHIFT;
  }

  keepShift(reader: string, shift: GateShift): void {
    this.#kept.gate = { reader, shift };
    this.#isChanged = true;
  }

  count(fate: Fate, language: string, characters: number, day: string): void {
    const ofDay = this.#kept.days[day] ?? {};
    const counts = ofDay[language] ?? NO_COUNTS;
    ofDay[language] = { ...counts, ...added(counts, fate, characters) };
    this.#kept.days[day] = ofDay;
    this.#isChanged = true;
  }

  /** Oldest day first. */
  get counts(): readonly { readonly day: string; readonly language: string; readonly counts: OfferCounts }[] {
    return Object.entries(this.#kept.days)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([day, ofDay]) => Object.entries(ofDay).map(([language, counts]) => ({ day, language, counts })));
  }

  get answers(): number {
    return this.#kept.gate.shift.answers;
  }

  /** Everything learned and counted, in the file too. */
  async forget(): Promise<void> {
    this.#kept = nothing();
    this.#saved = nothing();
    this.#isChanged = false;
    await rm(this.#file, { force: true });
  }

  /** Whole or not at all: a crash leaves the old file. Problems, since nobody's work depends on it. */
  async save(): Promise<readonly Problem[]> {
    if (!this.#isChanged) return [];
    this.#isChanged = false;
    const own = structuredClone(this.#kept);
    const found = await readKept(this.#file);
    const others = found === "missing" ? nothing() : "fault" in found ? this.#saved : found;
    const all = together(own, this.#saved, others);
    const days = Object.entries(all.days).sort(([a], [b]) => (a < b ? 1 : -1));
    all.days = Object.fromEntries(days.slice(0, DAYS));
    const text = JSON.stringify(all);
    const unfinished = `${this.#file}.${process.pid}.new`;
    try {
      await mkdir(dirname(this.#file), { recursive: true });
      await writeFile(unfinished, text);
      await rename(unfinished, this.#file);
      // More may have been counted while it was written. The shift goes on from this window's own.
      this.#kept = { ...together(this.#kept, own, all), gate: this.#kept.gate };
      this.#saved = { ...all, gate: own.gate };
      return [];
    } catch (error) {
      await rm(unfinished, { force: true }).catch(() => {});
      return [{ code: "BEHAVIOUR_UNSAVED", detail: `${this.#file}: ${messageOf(error)}` }];
    }
  }
}

/** A file that cannot be read or is damaged starts anew, with a problem that says so. */
export async function openBehaviour(dir: string): Promise<{ behaviour: Behaviour; problems: readonly Problem[] }> {
  const file = join(dir, FILE);
  const anew = (detail: string) => ({
    behaviour: new Behaviour(file),
    problems: [{ code: "BEHAVIOUR_FORGOTTEN", detail: `statistics start anew: ${file}: ${detail}` } as const],
  });
  const kept = await readKept(file);
  if (kept === "missing") return { behaviour: new Behaviour(file), problems: [] };
  return "fault" in kept ? anew(kept.fault) : { behaviour: new Behaviour(file, kept), problems: [] };
}

async function readKept(file: string): Promise<Kept | "missing" | { readonly fault: string }> {
  let raw: unknown;
  try {
    raw = JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    return errnoOf(error) === "ENOENT" ? "missing" : { fault: messageOf(error) };
  }
  const ajv = new Ajv({ strict: false });
  const isKept = ajv.compile<Kept>(SCHEMA);
  return isKept(raw) ? raw : { fault: ajv.errorsText(isKept.errors, { dataVar: "file" }) };
}

/** `others`, and what `own` has become since `base`. */
function together(own: Kept, base: Kept, others: Kept): Kept {
  const days = structuredClone(others.days);
  for (const [day, ofDay] of Object.entries(own.days)) {
    const found = days[day] ?? {};
    for (const [language, counts] of Object.entries(ofDay)) {
      const since = base.days[day]?.[language] ?? NO_COUNTS;
      const theirs = found[language] ?? NO_COUNTS;
      const sum = { ...NO_COUNTS };
      for (const name of Object.keys(sum) as (keyof OfferCounts)[])
        sum[name] = Math.max(0, theirs[name] + counts[name] - since[name]);
      if (Object.values(sum).some((count) => count > 0)) found[language] = sum;
    }
    if (Object.keys(found).length > 0) days[day] = found;
  }
  return { schemaVersion: 1, days, gate: gateTogether(own.gate, base.gate, others.gate) };
}

function gateTogether(own: Kept["gate"], base: Kept["gate"], others: Kept["gate"]): Kept["gate"] {
  const since = base.reader === own.reader ? base.shift : NO_SHIFT;
  if (own.shift.answers === since.answers) return others;
  if (own.reader !== others.reader && others.shift.answers > 0) return own;
  const weights = { ...others.shift.weights };
  for (const [name, weight] of Object.entries(own.shift.weights))
    weights[name] = (weights[name] ?? 0) + weight - (since.weights[name] ?? 0);
  const bias = others.shift.bias + own.shift.bias - since.bias;
  return {
    reader: own.reader,
    shift: { bias, weights, answers: others.shift.answers + own.shift.answers - since.answers },
  };
}

/** The local date of a moment. */
export function dayOf(date: Date): string {
  const two = (value: number) => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
}

function nothing(): Kept {
  return { schemaVersion: 1, days: {}, gate: { reader: "", shift: NO_SHIFT } };
}

/** `survived` and `lost` belong to an offer that was counted as shown when it was taken. */
function added(counts: OfferCounts, fate: Fate, characters: number): Partial<OfferCounts> {
  const shown = counts.shown + 1;
  switch (fate) {
    case "accepted":
      return { shown, accepted: counts.accepted + 1, characters: counts.characters + characters };
    case "part":
      return { shown, acceptedPart: counts.acceptedPart + 1, characters: counts.characters + characters };
    case "typed":
      return { shown, typed: counts.typed + 1 };
    case "rejected":
      return { shown, rejected: counts.rejected + 1 };
    case "survived":
      return { survived: counts.survived + 1 };
    case "lost":
      return { lost: counts.lost + 1 };
  }
}
