// An offer -> whether it is shown: its names looked up, its features weighed by the pack's gate. Says why, for the trace.
import type { Language } from "../languages/languages.ts";
import type { Verdict, Weigh } from "./complete.ts";
import { type GateModel, type GatePolicy, type GateShift, probabilityOf, reasonsOf } from "./gate.ts";
import { gateFeatures } from "./gateFeatures.ts";
import { checkSymbols, type KnownNames, type SymbolReport } from "./symbols.ts";

export interface WeighDeps {
  /** By its path, or by the editor's language id where that says nothing, as with a notebook's cell. */
  readonly languageOf: (path: string, languageId: string) => Language | undefined;
  /** Absent where there is no index. */
  readonly names?: KnownNames;
  /** Undefined for a pack without a gate: then everything is shown. */
  readonly gate: () => { readonly model: GateModel; readonly shift: GateShift } | undefined;
}

/** Features named in the trace. */
const REASONS_SHOWN = 5;

/** Taking an offer costs a key and a look; one of fewer characters gives less than that. */
const WORTH_CHARS = 3;

export function isTooShort(offer: string): boolean {
  return offer.trim().length < WORTH_CHARS;
}

export function createWeigh(deps: WeighDeps): Weigh {
  return (weighed) => {
    const { cursor, offer, raw, generation } = weighed;
    const isCut = generation.end === "max-tokens" && raw.endsWith(offer.text);
    const symbols = checkSymbols(
      cursor,
      { ...offer, isCut },
      deps.languageOf(cursor.path, weighed.signals.languageId),
      deps.names,
    );
    const features = gateFeatures(weighed, symbols);
    const facts = symbolFacts(symbols);
    const isOff = weighed.gate === "off";
    if (!isOff && isTooShort(offer.text)) return { facts, features, hiddenBy: "too-short" };
    if (!isOff && symbols.isCertain && symbols.unresolved.length > 0)
      return { facts, features, hiddenBy: "unknown-name" };
    const gate = deps.gate();
    if (gate === undefined) return { facts, features };
    const { model, shift } = gate;
    const probability = probabilityOf(model, shift, features);
    const threshold = thresholdOf(model, weighed.gate);
    const reasons = reasonsOf(model, shift, features).slice(0, REASONS_SHOWN);
    const verdict: Verdict = {
      facts: {
        ...facts,
        probability: Number(probability.toFixed(3)),
        threshold,
        because: reasons.map(([name, by]) => `${name} ${by < 0 ? "−" : "+"}${Math.abs(by).toFixed(2)}`).join(", "),
      },
      features,
      probability,
      isSure: probability >= model.thresholds.strict,
    };
    return probability < threshold ? { ...verdict, hiddenBy: "gate" } : verdict;
  };
}

function thresholdOf(model: GateModel, policy: GatePolicy): number {
  return policy === "off" ? 0 : model.thresholds[policy];
}

function symbolFacts(symbols: SymbolReport): Record<string, string> {
  const lists = {
    "names unknown": [...symbols.unresolved, ...symbols.unknownAttributes.map((name) => `.${name}`)],
    "names not in the file": symbols.notInFile,
    "calls that do not fit": symbols.wrongCalls,
  };
  return Object.fromEntries(
    Object.entries(lists)
      .filter(([, list]) => list.length > 0)
      .map(([title, list]) => [title, list.join(", ")]),
  );
}
