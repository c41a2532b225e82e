// The gate: how likely an offer is to be taken, and whether it is shown. A logistic model; its weights are the pack's
// (`gate.json`), since they weigh that reader's certainty, and move a little with what one person takes and refuses.
import { Ajv } from "ajv";
import type { GateFeatures } from "./gateFeatures.ts";

/** How sure the gate wants to be before something is shown. */
export type GatePolicy = "off" | "balanced" | "strict";

/** `gate.json`. A feature counts as (value − mean) / scale, times its weight. */
export interface GateModel {
  readonly schemaVersion: 1;
  /** First 16 digits of the sha256 of the reader's file that the weights were fitted to. */
  readonly reader: string;
  readonly bias: number;
  readonly features: Readonly<Record<string, GateFeature>>;
  /** Least probabilities that are shown. */
  readonly thresholds: { readonly balanced: number; readonly strict: number };
  /** What it was fitted on, for a person. */
  readonly fitted: string;
}

export interface GateFeature {
  readonly mean: number;
  readonly scale: number;
  readonly weight: number;
}

/** What one person's answers changed: added to the bias and to the weights of standardised features. */
export interface GateShift {
  readonly bias: number;
  readonly weights: Readonly<Record<string, number>>;
  /** Answers it has seen. */
  readonly answers: number;
}

export const NO_SHIFT: GateShift = { bias: 0, weights: {}, answers: 0 };

/** Features whose weight no file can teach; they start at 0 and may be learned here. */
export const PERSONAL: Readonly<Record<string, GateFeature>> = {
  logInterval: { mean: 0, scale: 0.7, weight: 0 },
  logPause: { mean: 0, scale: 1, weight: 0 },
  acceptedShare: { mean: -0.2, scale: 0.2, weight: 0 },
  afterAccept: { mean: 0.1, scale: 0.3, weight: 0 },
};

/** Step of one answer; a standardised feature is cut to ±`REACH`, so no weight moves by more than 0.09 at once. */
const STEP = 0.03;
const REACH = 3;
/** Share of the shift given back with every answer: after 200 answers without the like of it, a third is left. */
const PULL = 0.005;
/** No weight and no bias moves further than this from the shipped one. */
const FARTHEST = 1;

const SCHEMA = {
  type: "object",
  required: ["schemaVersion", "reader", "bias", "features", "thresholds", "fitted"],
  properties: {
    schemaVersion: { const: 1 },
    reader: { type: "string", pattern: "^[0-9a-f]{16}$" },
    bias: { type: "number" },
    fitted: { type: "string" },
    features: {
      type: "object",
      additionalProperties: {
        type: "object",
        required: ["mean", "scale", "weight"],
        properties: {
          mean: { type: "number" },
          scale: { type: "number", exclusiveMinimum: 0 },
          weight: { type: "number" },
        },
      },
    },
    thresholds: {
      type: "object",
      required: ["balanced", "strict"],
      properties: {
        balanced: { type: "number", minimum: 0, maximum: 1 },
        strict: { type: "number", minimum: 0, maximum: 1 },
      },
    },
  },
} as const;

/** The model a text holds, or what is wrong with it. */
export function parseGate(text: string): GateModel | { readonly fault: string } {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch (error) {
    return { fault: error instanceof Error ? error.message : String(error) };
  }
  const ajv = new Ajv({ strict: false });
  const isGate = ajv.compile<GateModel>(SCHEMA);
  return isGate(raw) ? raw : { fault: ajv.errorsText(isGate.errors, { dataVar: "gate" }) };
}

/** Probability that the offer is taken and kept. Features without a weight do not count. */
export function probabilityOf(model: GateModel, shift: GateShift, features: GateFeatures): number {
  let score = model.bias + shift.bias;
  for (const [name, weight] of weightsOf(model)) {
    score += (weight.weight + (shift.weights[name] ?? 0)) * standardised(weight, features[name]);
  }
  return 1 / (1 + Math.exp(-score));
}

/** The features that moved the score most, strongest first, each with what it added. */
export function reasonsOf(model: GateModel, shift: GateShift, features: GateFeatures): [name: string, by: number][] {
  return weightsOf(model)
    .map(([name, weight]): [string, number] => [
      name,
      (weight.weight + (shift.weights[name] ?? 0)) * standardised(weight, features[name]),
    ])
    .sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
}

/** One step of logistic regression towards an answer (1 taken, 0 refused), pulled back to the shipped weights. */
export function learn(model: GateModel, shift: GateShift, features: GateFeatures, answer: 0 | 1): GateShift {
  const error = answer - probabilityOf(model, shift, features);
  const bounded = (value: number) => Math.max(-FARTHEST, Math.min(FARTHEST, value));
  const weights: Record<string, number> = {};
  for (const [name, weight] of weightsOf(model)) {
    const before = shift.weights[name] ?? 0;
    weights[name] = bounded(before * (1 - PULL) + STEP * error * standardised(weight, features[name]));
  }
  return { bias: bounded(shift.bias * (1 - PULL) + STEP * error), weights, answers: shift.answers + 1 };
}

function weightsOf(model: GateModel): [string, GateFeature][] {
  return Object.entries({ ...PERSONAL, ...model.features });
}

function standardised({ mean, scale }: GateFeature, value: number | undefined): number {
  if (value === undefined || !Number.isFinite(value)) return 0;
  return Math.max(-REACH, Math.min(REACH, (value - mean) / scale));
}
