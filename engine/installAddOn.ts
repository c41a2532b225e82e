// The recipe of `precis packs add`: an add-on's folder -> the same among this machine's packs, its encoder made where it was only
// named, and its answers compared with those of training.
import { copyFile, mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { EngineError, errnoOf } from "./errors.ts";
import { exists } from "./exists.ts";
import { type AddOnParityFile, checkAddOnParity } from "./infer/addOnParity.ts";
import { ADDON_FILE, type AddOn, type AddOnManifest, isAddOn, openAddOn, verifyAddOn } from "./pack/addOn.ts";
import type { MatrixFormat } from "./pack/matrices.ts";
import { describeFiles } from "./pack/pack.ts";
import { partialOf, sweepPartials } from "./pack/partialFolders.ts";
import { prepareEncoder } from "./prepareEncoder.ts";

export interface InstallAddOnOptions {
  /** The add-on's folder. */
  readonly source: string;
  /** The folder of packs and add-ons; the new one is named by its id. An add-on of that name is replaced. */
  readonly parent: string;
  /** Checkpoint or export that the encoder is made of, for an add-on that does not hold it. */
  readonly encoder?: string | undefined;
  /** Of an encoder made here. */
  readonly format: MatrixFormat;
  /** Told of each step, in words. */
  readonly onStep?: (step: string) => void;
}

/**
 * Cosine with training's vectors that an encoder made here must keep; a stock export is taken for quantised. Random weights at the
 * full shape of Qwen3-Embedding-0.6B keep 1.000 in fp32, 0.993 in q8 and 0.55 in q4.
 */
const LEAST_COSINE: Readonly<Record<MatrixFormat, number>> = { fp32: 0.9999, q8: 0.98, int8: 0.95, q4: 0.85 };

/** Throws an `ADDON_…` or `ENCODER_…` error, or `PACK_INCOMPATIBLE` where answers differ, and leaves nothing behind then. */
export async function installAddOn(options: InstallAddOnOptions): Promise<AddOn> {
  const { source, parent, onStep = () => {} } = options;
  onStep("sha256 of every file");
  const { manifest } = await verifyAddOn(source);
  await mkdir(parent, { recursive: true });
  await sweepPartials(parent);
  const dir = await folderFor(parent, manifest.id);
  const partial = partialOf(dir);
  try {
    await mkdir(partial);
    for (const name of Object.keys(manifest.files)) await copyFile(join(source, name), join(partial, name));
    await writeManifest(partial, await withEncoder(partial, manifest, options));
    onStep("answers beside those of training");
    await checkAddOnParity(await openAddOn(partial), ["cpu"]);
    const old = `${dir}.old-${process.pid}`;
    await rename(dir, old).catch(ignoreMissing);
    await rename(partial, dir);
    await rm(old, { recursive: true, force: true });
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    const isFull = ["ENOSPC", "EDQUOT", "EFBIG"].includes(errnoOf(error) ?? "");
    throw isFull ? new EngineError("DISK_FULL", `${parent} is full`, { cause: error }) : error;
  }
  return openAddOn(dir);
}

/** Named by the id; where a pack or anything else has that name, with the first number behind it that is free or its own. */
async function folderFor(parent: string, id: string): Promise<string> {
  for (let n = 1; ; n += 1) {
    const dir = join(parent, n === 1 ? id : `${id}-${n}`);
    if (!(await exists(dir)) || (await isAddOn(dir))) return dir;
  }
}

async function withEncoder(
  dir: string,
  manifest: AddOnManifest,
  { source, encoder, format, onStep = () => {} }: InstallAddOnOptions,
): Promise<AddOnManifest> {
  if (manifest.encoder.file !== undefined) return manifest;
  if (encoder === undefined) {
    const { name } = manifest.encoder;
    throw new EngineError("ADDON_INCOMPLETE", `${source} names its encoder, ${name}, and does not hold it`);
  }
  onStep(`encoder of ${basename(encoder)}`);
  const prepared = await prepareEncoder({ source: encoder, dir, encoder: manifest.encoder, format });
  const file = join(dir, manifest.parity);
  const parity: AddOnParityFile = JSON.parse(await readFile(file, "utf8"));
  const leastCosine = LEAST_COSINE[prepared.states === undefined ? format : "int8"];
  await writeFile(file, JSON.stringify({ ...parity, leastCosine }));
  return { ...manifest, encoder: { ...manifest.encoder, ...prepared }, files: await describeFiles(dir) };
}

async function writeManifest(dir: string, manifest: AddOnManifest): Promise<void> {
  await writeFile(join(dir, ADDON_FILE), `${JSON.stringify(manifest, null, 2)}\n`);
}

function ignoreMissing(error: unknown): void {
  if (errnoOf(error) !== "ENOENT") throw error;
}
