// A pack's gate from its file, or the reason why it is left aside: a gate that does not fit must not cost the pack.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, type Problem } from "../errors.ts";
import type { Pack } from "../pack/pack.ts";
import { type GateModel, type GateShift, NO_SHIFT, parseGate } from "./gate.ts";

/** The model as shipped, and what one person's answers have made of it since. */
export interface Gate {
  readonly model: GateModel;
  shift: GateShift;
}

export async function openGate({ dir, manifest }: Pack): Promise<{ gate?: Gate; problems: readonly Problem[] }> {
  if (manifest.gate === undefined) return { problems: [] };
  const file = join(dir, manifest.gate);
  const ignored = (detail: string) => ({ problems: [{ code: "GATE_IGNORED", detail: `${file}: ${detail}` } as const] });
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    return ignored(messageOf(error));
  }
  const model = parseGate(text);
  if ("fault" in model) return ignored(model.fault);
  const reader = readerHashOf({ dir, manifest });
  if (model.reader !== reader) return ignored(`it was fitted to reader ${model.reader}, this is ${reader}`);
  return { gate: { model, shift: NO_SHIFT }, problems: [] };
}

/** What ties a gate to a reader: the first 16 digits of the sha256 of its file. */
export function readerHashOf({ manifest }: Pack): string {
  return manifest.files[manifest.reader.file]?.sha256.slice(0, 16) ?? "";
}
