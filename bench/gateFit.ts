// Weighed offers -> a gate: weights by logistic regression, thresholds by what they keep, and how well both hold elsewhere.
import { type GateFeature, type GateModel, NO_SHIFT, PERSONAL, probabilityOf } from "../engine/completion/gate.ts";
import { isTooShort } from "../engine/completion/weigh.ts";
import { fitLogistic, standard } from "./logistic.ts";
import type { WeighedRow } from "./weighedRows.ts";

/** Rows that offered something worth a key: shorter ones are hidden whatever the gate thinks. */
export function offered(rows: readonly WeighedRow[]): WeighedRow[] {
  return rows.filter((row) => row.outcome !== "none" && !isTooShort(row.offer) && "meanLogProb" in row.features);
}

/** What follows in the file begins with the offer: a person would have taken it and typed on. */
export function isRight(row: WeighedRow): boolean {
  return row.outcome === "exact" || row.outcome === "beginning";
}

/** The symbol check hides it. */
export function isUnknown(row: WeighedRow): boolean {
  return (row.features["unresolved"] ?? 0) > 0;
}

const PENALTY = 5;

interface FitOptions {
  readonly reader: string;
  readonly fitted: string;
  readonly without?: readonly string[];
}

/** What the symbol check finds can only speak against an offer; a few lucky ones must not teach otherwise. */
const AGAINST = ["unresolved", "unknownAttributes", "notInFile", "wrongCalls"];

export function fitGate(rows: readonly WeighedRow[], options: FitOptions): GateModel {
  return { ...fitWeights(rows, options), thresholds: thresholdsOf(crossJudge(rows, options)) };
}

/** Each offer judged by a gate fitted to the other files' offers: what the fit says of files it did not see. */
export function crossJudge(rows: readonly WeighedRow[], options: FitOptions, rule = true): Judged[] {
  const files = [...new Set(rows.map(fileOf))].sort();
  const folds = new Map(files.map((file, n) => [file, n % FOLDS]));
  return Array.from({ length: FOLDS }, (_, fold) => {
    const isOut = (row: WeighedRow) => folds.get(fileOf(row)) === fold;
    const others = rows.filter((row) => !isOut(row));
    return judge(fitWeights(others, options), rows.filter(isOut), rule);
  }).flat();
}

const FOLDS = 5;

function fileOf({ repo, path }: WeighedRow): string {
  return `${repo}/${path}`;
}

function fitWeights(rows: readonly WeighedRow[], options: FitOptions): GateModel {
  const model = fitAll(rows, options);
  const wrongWay = AGAINST.filter((name) => (model.features[name]?.weight ?? 0) > 0);
  return wrongWay.length === 0
    ? model
    : fitWeights(rows, { ...options, without: [...(options.without ?? []), ...wrongWay] });
}

function fitAll(rows: readonly WeighedRow[], options: FitOptions): GateModel {
  const { reader, fitted, without = [] } = options;
  const names = Object.keys(rows[0]?.features ?? {}).filter((name) => !(name in PERSONAL) && !without.includes(name));
  const columns = names.map((name) => standard(rows.map((row) => row.features[name] ?? 0)));
  const isConstant = columns.map(({ mean }, n) => rows.every((row) => row.features[names[n] ?? ""] === mean));
  const clip = (value: number) => Math.max(-3, Math.min(3, value));
  const standardised = rows.map((row) =>
    names.map((name, n) => clip(((row.features[name] ?? 0) - (columns[n]?.mean ?? 0)) / (columns[n]?.scale ?? 1))),
  );
  const answers = rows.map((row) => Number(isRight(row)));
  const { bias, weights } = fitLogistic(standardised, answers, PENALTY);
  const features: Record<string, GateFeature> = {};
  names.forEach((name, n) => {
    const column = columns[n];
    if (column !== undefined && !isConstant[n]) {
      features[name] = { mean: short(column.mean), scale: short(column.scale), weight: short(weights[n] ?? 0) };
    }
  });
  return { schemaVersion: 1, reader, bias: short(bias), features, thresholds: { balanced: 0, strict: 0 }, fitted };
}

function short(value: number): number {
  return Number(value.toPrecision(4));
}

/**
 * Shares of the right offers that the thresholds keep, in files that the weights were not fitted to. `balanced`: letting
 * another 5 % through would show thirty wrong offers for one right. `strict`: of three right offers it gives up one.
 */
export const KEPT = { balanced: 0.9, strict: 0.67 } as const;

function thresholdsOf(judged: readonly Judged[]): GateModel["thresholds"] {
  const right = judged
    .filter((each) => each.isRight)
    .map(({ probability }) => probability)
    .sort((a, b) => b - a);
  const keeping = (share: number) => Number((right[Math.ceil(share * right.length) - 1] ?? 0).toFixed(3));
  return { balanced: keeping(KEPT.balanced), strict: keeping(KEPT.strict) };
}

export interface Judged {
  readonly probability: number;
  readonly isRight: boolean;
  readonly isExact: boolean;
}

/** An offer with a name that exists nowhere is hidden before the gate is asked; `rule` false: the gate alone. */
export function judge(model: GateModel, rows: readonly WeighedRow[], rule = true): Judged[] {
  return rows.map((row) => ({
    probability: rule && isUnknown(row) ? 0 : probabilityOf(model, NO_SHIFT, row.features),
    isRight: isRight(row),
    isExact: row.outcome === "exact",
  }));
}

export interface Shown {
  /** Offers shown, of all offers. */
  readonly coverage: number;
  /** Right ones among the shown. */
  readonly precision: number;
  /** Exact lines among the shown. */
  readonly exact: number;
  /** Shown ones among the right. */
  readonly recall: number;
  readonly n: number;
}

export function shownAt(judged: readonly Judged[], threshold: number): Shown {
  const shown = judged.filter(({ probability }) => probability >= threshold);
  const right = shown.filter((each) => each.isRight).length;
  return {
    n: shown.length,
    coverage: shown.length / Math.max(1, judged.length),
    precision: right / Math.max(1, shown.length),
    exact: shown.filter((each) => each.isExact).length / Math.max(1, shown.length),
    recall: right / Math.max(1, judged.filter((each) => each.isRight).length),
  };
}

/** Best precision at which at least this share of the right offers is shown. */
export function atRecall(judged: readonly Judged[], recall: number): Shown {
  const right = judged
    .filter((each) => each.isRight)
    .map(({ probability }) => probability)
    .sort((a, b) => b - a);
  return shownAt(judged, right[Math.max(0, Math.ceil(recall * right.length) - 1)] ?? 0);
}

/** Chance that a right offer is thought likelier than a wrong one. */
export function areaUnderCurve(judged: readonly Judged[]): number {
  const right = judged.filter((each) => each.isRight);
  const wrong = judged.filter((each) => !each.isRight);
  let above = 0;
  for (const a of right)
    for (const b of wrong) above += a.probability > b.probability ? 1 : Number(a.probability === b.probability) / 2;
  return above / Math.max(1, right.length * wrong.length);
}

export interface Bin {
  readonly predicted: number;
  readonly observed: number;
  readonly n: number;
}

/** Equal numbers of offers a bin, by rising probability. */
export function reliability(judged: readonly Judged[], bins: number): Bin[] {
  const sorted = judged.toSorted((a, b) => a.probability - b.probability);
  return Array.from({ length: bins }, (_, n) => {
    const part = sorted.slice(Math.floor((n * sorted.length) / bins), Math.floor(((n + 1) * sorted.length) / bins));
    return {
      predicted: part.reduce((sum, each) => sum + each.probability, 0) / Math.max(1, part.length),
      observed: part.filter((each) => each.isRight).length / Math.max(1, part.length),
      n: part.length,
    };
  });
}
