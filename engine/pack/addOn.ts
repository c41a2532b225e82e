// Projector add-ons: a folder with encoder, fuser and projector, trained for one reader. Beside a pack with that reader it
// gives the mode compressed; its encoder and fuser take the place of the pack's, since the projector reads their vectors.
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { Ajv } from "ajv";
import { EngineError, errnoOf } from "../errors.ts";
import schema from "./addOn.schema.json" with { type: "json" };
import { readManifestFile } from "./manifestFile.ts";
import packSchema from "./pack.schema.json" with { type: "json" };
import { contradictionsOf, type Pack, type PackManifest, sha256Of, sizeOf } from "./pack.ts";
import { isPartial } from "./partialFolders.ts";

type Encoder = PackManifest["encoder"];

/** addon.json, as `addOn.schema.json` describes it. */
export interface AddOnManifest {
  readonly schemaVersion: 1;
  readonly id: string;
  readonly version: string;
  readonly title: string;
  readonly licence: string;
  readonly modelCard: string;
  readonly files: PackManifest["files"];
  readonly reader: { readonly name: string; readonly readerDim: number; readonly weights: readonly string[] };
  /** Without `file` only named: it is made of a checkpoint when the add-on is added. */
  readonly encoder: Omit<Encoder, "file"> & {
    readonly name: string;
    readonly file?: string;
    /** sha256 of the checkpoint's tensors. */
    readonly weights?: string;
  };
  readonly chunking: PackManifest["chunking"];
  readonly fuser: PackManifest["fuser"];
  readonly projector: NonNullable<PackManifest["projector"]>;
  /** K, most pseudo-tokens of one prompt. */
  readonly pseudoTokens: number;
  readonly quantisation: string;
  readonly parity: string;
}

export interface AddOn {
  readonly dir: string;
  readonly manifest: AddOnManifest;
}

export const ADDON_FILE = "addon.json";

/** Reads and checks the manifest and that every file is there with the stated size. Throws an `ADDON_…` error. */
export async function openAddOn(dir: string): Promise<AddOn> {
  const manifest = checkManifest(dir, await readManifest(dir));
  for (const [name, { bytes }] of Object.entries(manifest.files)) {
    const size = await sizeOf(join(dir, name));
    if (size === undefined) throw new EngineError("ADDON_CORRUPT", `${join(dir, name)} is missing`);
    if (size !== bytes)
      throw new EngineError("ADDON_CORRUPT", `${join(dir, name)} has ${size} bytes, the manifest says ${bytes}`);
  }
  return { dir, manifest };
}

/** Also reads every byte: throws `ADDON_CORRUPT` naming the first file whose sha256 differs. */
export async function verifyAddOn(dir: string): Promise<AddOn> {
  const addOn = await openAddOn(dir);
  for (const [name, { sha256 }] of Object.entries(addOn.manifest.files)) {
    const actual = await sha256Of(join(dir, name));
    if (actual === sha256) continue;
    throw new EngineError("ADDON_CORRUPT", `${join(dir, name)} has sha256 ${actual}, the manifest says ${sha256}`);
  }
  return addOn;
}

/** Folders under `dir` that hold an addon.json, by name. */
export async function listAddOns(dir: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of (await namesIn(dir)).sort()) {
    if (!isPartial(name) && (await isAddOn(join(dir, name)))) found.push(join(dir, name));
  }
  return found;
}

/** Whether it was trained for the pack's reader; the reader's format does not matter. */
export function isFor({ manifest }: AddOn, pack: Pack): boolean {
  const { weights } = pack.manifest.reader;
  return weights !== undefined && manifest.reader.weights.includes(weights);
}

/**
 * The pack with the add-on's encoder, fuser and projector, and the mode compressed. Throws `ADDON_FOREIGN` for another reader's,
 * `ADDON_INCOMPLETE` where its encoder is only named, `ADDON_INCOMPATIBLE` where numbers do not agree.
 */
export function withAddOn(pack: Pack, addOn: AddOn): Pack {
  const { dir, manifest } = addOn;
  if (!isFor(addOn, pack)) {
    throw new EngineError(
      "ADDON_FOREIGN",
      `${dir} was trained for ${manifest.reader.name}, not for ${pack.manifest.id}`,
    );
  }
  const { encoder, fuser, projector, chunking, pseudoTokens, files, parity } = manifest;
  const { name, weights: _weights, file, ...described } = encoder;
  if (file === undefined)
    throw new EngineError("ADDON_INCOMPLETE", `${dir} names its encoder, ${name}, and does not hold it`);
  const { modes, prompt } = pack.manifest;
  const merged: PackManifest = {
    ...pack.manifest,
    modes: [...new Set([...modes, "compressed" as const])],
    encoder: { ...described, file },
    fuser,
    projector,
    chunking,
    prompt: { ...prompt, budget: { ...prompt.budget, pseudoTokens } },
  };
  // Which files there are is each manifest's own affair, and checked with it.
  const said = contradictionsOf({ ...merged, files: { ...pack.manifest.files, ...files } });
  if (said.length > 0) throw new EngineError("ADDON_INCOMPATIBLE", `${dir}: ${said.join("; ")}`);
  return { dir: pack.dir, manifest: merged, addOn: { dir, files, parity } };
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errnoOf(error) ?? "")) return [];
    throw error;
  }
}

function readManifest(dir: string): Promise<unknown> {
  return readManifestFile(join(dir, ADDON_FILE), { missing: "ADDON_MISSING", corrupt: "ADDON_CORRUPT" });
}

function checkManifest(dir: string, raw: unknown): AddOnManifest {
  const ajv = new Ajv({ allErrors: true, strict: false, schemas: [packSchema] });
  const isManifest = ajv.compile<AddOnManifest>(schema);
  if (!isManifest(raw)) {
    const said = ajv.errorsText(isManifest.errors, { dataVar: "addOn" });
    throw new EngineError("ADDON_INCOMPATIBLE", `${join(dir, ADDON_FILE)}: ${said}`);
  }
  const { encoder, fuser, projector, parity, modelCard, files } = raw;
  const unlisted = [encoder.file, encoder.tokenizer, fuser.file, projector.file, parity, modelCard]
    .filter((name) => name !== undefined && !(name in files))
    .map((name) => `${name} is used but not listed under files`);
  if (unlisted.length > 0) throw new EngineError("ADDON_INCOMPATIBLE", `${dir}: ${unlisted.join("; ")}`);
  return raw;
}

/** Whether a folder says that it is one; whether it is sound is `openAddOn`'s to say. */
export async function isAddOn(dir: string): Promise<boolean> {
  return (await sizeOf(join(dir, ADDON_FILE))) !== undefined;
}
