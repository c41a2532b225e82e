// The models a person can choose, in words: what each takes, and whether it fits this machine. No editor here, so that tests can
// read it.
import type { InstalledAddOn, InstalledPack, ModelChoices, OfferedModel } from "../engine/protocol.ts";

export interface ModelRow {
  readonly label: string;
  readonly description: string;
  readonly detail: string;
}

/** Of this share of the machine's memory and more it is said that little is left. */
const LARGE_SHARE = 0.5;
/** A reader of so many bytes makes a person wait where a CPU runs it. */
const SLOW_BYTES = 300e6;

export function installedRow(pack: InstalledPack, isChosen: boolean): ModelRow {
  const label = `${isChosen ? "$(check)" : "$(package)"} ${pack.title}`;
  if (pack.problem !== null) return { label, description: "cannot be used", detail: pack.problem };
  const where = pack.isBundled ? "comes with Precis" : "on this machine";
  const licence = pack.licence === "unknown" ? [] : [`licence ${pack.licence}`];
  const detail = [`Version ${pack.version}`, `${sizeText(pack.bytes)} on the disk`, ...licence].join(" · ");
  return { label, description: isChosen ? `in use, ${where}` : where, detail };
}

export function addOnRow(addOn: InstalledAddOn): ModelRow {
  const label = `$(extensions) ${addOn.title}`;
  if (addOn.problem !== null) return { label, description: "cannot be used", detail: addOn.problem };
  const detail = `Version ${addOn.version} · ${sizeText(addOn.bytes)} on the disk · add-on for mode compressed`;
  return { label, description: addOn.isInUse ? "in use, on this machine" : "on this machine", detail };
}

/** What a person agrees to before a pack or an add-on is removed. */
export function removalText(kind: "pack" | "add-on", unwanted: InstalledAddOn): { question: string; detail: string } {
  const lines = [
    `${unwanted.bytes === 0 ? "Its folder is" : `${sizeText(unwanted.bytes)} are`} removed from the disk. To have it back, it must be added again.`,
  ];
  if (unwanted.isInUse)
    lines.push(
      kind === "pack"
        ? "It is in use here: the model that comes with Precis takes its place, and the index is built again for that."
        : "It is in use here: without it full RAG takes the place of mode compressed, and the index is built again.",
    );
  return { question: `Remove ${unwanted.title}?`, detail: lines.join("\n\n") };
}

/** `provider`: what runs the reader now, if anything does. */
export function offeredRow(
  model: OfferedModel,
  machine: ModelChoices["machine"],
  provider: string | undefined,
): ModelRow {
  const { download, pack, memory } = model.bytes;
  // A row has room for some sixty characters; the question that follows says the rest.
  const sizes = `${sizeText(download)} download, ${sizeText(download + pack)} disk, ${sizeText(memory)} memory`;
  const here = model.here > 1e6 ? ` · ${sizeText(model.here)} are here` : "";
  const detail = `About ${sizes} · ${model.licence.name}${here}`;
  return { label: `$(cloud-download) ${model.title}`, description: fitText(model, machine, provider), detail };
}

export function fitText(
  { bytes }: OfferedModel,
  { memoryBytes, freeDiskBytes }: ModelChoices["machine"],
  provider: string | undefined,
): string {
  const lacking: string[] = [];
  if (bytes.memory > memoryBytes) lacking.push(`this machine has ${sizeText(memoryBytes)} of memory`);
  if (bytes.download + bytes.pack > freeDiskBytes) lacking.push(`${sizeText(freeDiskBytes)} of disk are free`);
  if (lacking.length > 0) return `does not fit: ${lacking.join(", ")}`;
  const said = [bytes.memory > LARGE_SHARE * memoryBytes ? "fits, but leaves little memory" : "fits this machine"];
  if (provider === "cpu" && bytes.pack > SLOW_BYTES) said.push("slow without a GPU");
  return said.join("; ");
}

export function fits(model: OfferedModel, machine: ModelChoices["machine"]): boolean {
  return !fitText(model, machine, undefined).startsWith("does not fit");
}

/** What a person agrees to before anything is downloaded. */
export function consentText(model: OfferedModel, { hub, machine }: ModelChoices): { question: string; detail: string } {
  const { download, pack, memory } = model.bytes;
  const { name, note } = model.licence;
  const lines = [
    `About ${sizeText(download)} are downloaded from ${hub.host}, verified, and made into a pack of about ${sizeText(pack)}; the download is removed then. It takes about ${sizeText(memory)} of memory.`,
    ...(fits(model, machine) ? [] : [`It ${fitText(model, machine, undefined)}.`]),
    `Licence: ${name}.${note === undefined ? "" : ` ${note}`}`,
  ];
  return { question: `Download ${model.title}?`, detail: lines.join("\n\n") };
}

/** `1.4 GB`, `440 MB`, `38 MB`: two digits say enough of what is about. */
export function sizeText(bytes: number): string {
  if (bytes >= 950e6) return `${(bytes / 1e9).toFixed(bytes < 10e9 ? 1 : 0)} GB`;
  return bytes < 100e6 ? `${Math.max(1, Math.round(bytes / 1e6))} MB` : `${Math.round(bytes / 1e7) * 10} MB`;
}

/** What a button beside an error does. */
export type Remedy = "Try Again" | "Set Token" | "Open Page" | "Choose Folder" | "Open Settings" | "Show Log";

const REMEDIES: Readonly<Record<string, readonly Remedy[]>> = {
  HUB_UNREACHABLE: ["Try Again", "Choose Folder", "Open Settings"],
  HUB_UNTRUSTED: ["Choose Folder", "Open Settings"],
  HUB_TOKEN: ["Set Token", "Open Page"],
  HUB_GATED: ["Open Page", "Set Token"],
  HUB_MISSING: ["Open Settings", "Choose Folder"],
  HUB_BUSY: ["Try Again"],
  HUB_DAMAGED: ["Try Again", "Choose Folder"],
  HUB_FAILED: ["Open Settings", "Try Again"],
  DOWNLOAD_RUNNING: ["Try Again"],
  DISK_FULL: ["Try Again"],
  CHECKPOINT_INVALID: ["Choose Folder"],
  CHECKPOINT_UNSUPPORTED: ["Choose Folder"],
  ADDON_CORRUPT: ["Choose Folder"],
  ADDON_INCOMPATIBLE: ["Choose Folder"],
  PACK_CORRUPT: ["Choose Folder"],
  PACK_INCOMPATIBLE: ["Choose Folder"],
  USAGE: ["Choose Folder"],
};

/** For the code of an error; a code without remedies of its own has the log. */
export function remediesOf(code: string | undefined): readonly Remedy[] {
  return REMEDIES[code ?? ""] ?? ["Try Again", "Show Log"];
}
