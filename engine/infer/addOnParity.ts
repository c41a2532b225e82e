// An add-on's samples through the real sessions of this machine: do encoder, fuser and projector answer as in training?
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { EngineError } from "../errors.ts";
import { type AddOn, openAddOn } from "../pack/addOn.ts";
import type { Pack } from "../pack/pack.ts";
import { openEncoder, type TextKind } from "./encoder.ts";
import { checkGraph, checkParity, type ParityReport, type ParitySample } from "./parity.ts";
import { openRuntime } from "./runtime.ts";
import { loadTokenizer } from "./tokenizer.ts";

/** The content of an add-on's parity file. */
export interface AddOnParityFile {
  /** Cosine that every text's vector has at least with the one of training's own encoder, which computes in float32. */
  readonly leastCosine: number;
  readonly texts: readonly { readonly text: string; readonly kind: TextKind; readonly vector: readonly number[] }[];
  readonly fuser: readonly ParitySample[];
  readonly projector: readonly ParitySample[];
}

/** The pack's own samples, and those of the add-on that gives it the mode compressed. Throws `PACK_INCOMPATIBLE`. */
export async function checkAllParity(pack: Pack, providers: readonly string[]): Promise<ParityReport> {
  const own = await checkParity(pack, providers);
  if (pack.addOn === undefined) return own;
  const added = await checkAddOnParity(await openAddOn(pack.addOn.dir), providers);
  return { samples: own.samples + added.samples, worst: Math.max(own.worst, added.worst) };
}

/** Throws `PACK_INCOMPATIBLE` naming the first text or graph that differs by more than is allowed. */
export async function checkAddOnParity(addOn: AddOn, providers: readonly string[]): Promise<ParityReport> {
  const { dir, manifest } = addOn;
  const { fuser, projector, parity } = manifest;
  const file: AddOnParityFile = JSON.parse(await readFile(join(dir, parity), "utf8"));
  const { runtime } = await openRuntime(providers, 1);
  const cosine = await leastCosine(addOn, file.texts, providers);
  // Rounding may bring a cosine a little above 1.
  const share = Math.max(0, 1 - cosine) / (1 - file.leastCosine);
  if (!(share <= 1)) {
    throw new EngineError(
      "PACK_INCOMPATIBLE",
      `encoder: a vector has cosine ${cosine.toFixed(5)} with the one of training, ${file.leastCosine} is the least`,
    );
  }
  const shares = [
    share,
    await checkGraph("fuser", join(dir, fuser.file), file.fuser, runtime),
    await checkGraph("projector", join(dir, projector.file), file.projector, runtime),
  ];
  return { samples: file.texts.length + file.fuser.length + file.projector.length, worst: Math.max(...shares) };
}

async function leastCosine(
  { dir, manifest }: AddOn,
  texts: AddOnParityFile["texts"],
  providers: readonly string[],
): Promise<number> {
  const { file, tokenizer, name } = manifest.encoder;
  if (file === undefined || tokenizer === undefined)
    throw new EngineError("ADDON_INCOMPLETE", `${dir} names its encoder, ${name}, and does not hold it`);
  const { runtime } = await openRuntime(providers, 1);
  const described = { ...manifest.encoder, file };
  const words = await loadTokenizer(join(dir, tokenizer));
  const { encoder } = await openEncoder({ dir, manifest: { encoder: described } }, words, runtime);
  let least = 1;
  try {
    for (const { text, kind, vector } of texts) {
      const [own] = await encoder.encode([text], kind);
      const cosine = own?.reduce((sum, value, n) => sum + value * (vector[n] ?? Number.NaN), 0) ?? Number.NaN;
      least = Math.min(least, cosine);
    }
  } finally {
    await encoder.close();
  }
  return least;
}
