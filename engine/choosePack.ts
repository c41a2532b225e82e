// Which pack is opened and what its reader runs on: the one that the settings name, on the first provider that works and has
// room. Where the machine has no room for it either, the bundled pack, with the reason.
import type { Settings } from "./config.ts";
import type { Problem } from "./errors.ts";
import { chooseProviders, type PackOptions, type ProviderChoice } from "./infer/chooseProviders.ts";
import { type FreeMemory, type MemorySource, SYSTEM_MEMORY, sizeText } from "./infer/freeMemory.ts";
import { findPack, openPack, type Pack } from "./pack/pack.ts";
import { packMemory } from "./pack/sizes.ts";

export interface ChoosePackOptions {
  readonly settings: Settings;
  readonly packsDir: string;
  readonly preparedDirs: readonly string[] | undefined;
  readonly asking: Omit<PackOptions, "pack">;
  /** The reader of the pack is not opened. */
  readonly isReaderRemote: boolean;
  readonly memory?: MemorySource;
}

export interface ChosenPack {
  readonly pack: Pack;
  readonly choice: ProviderChoice;
  /** On a server, or on a card of its own memory. */
  readonly isReaderOutside: boolean;
  readonly problems: readonly Problem[];
}

export async function choosePack(options: ChoosePackOptions): Promise<ChosenPack> {
  const { settings, packsDir, preparedDirs, memory = SYSTEM_MEMORY } = options;
  const open = async (name: string) => openPack(await findPack(name, packsDir, preparedDirs));
  const providersFor = (pack: Pack) =>
    chooseProviders(settings["execution.providers"], { ...options.asking, pack, memory });
  const pack = await open(settings.pack);
  const choice = await providersFor(pack);
  const short = shortageOf(pack, memory.machine(), isOutside(choice, options));
  const asked = { pack, choice, isReaderOutside: isOutside(choice, options), problems: [] };
  if (short === undefined || settings.pack === "auto") return asked;
  const bundled = await open("auto");
  if (bundled.dir === pack.dir || neededBy(bundled, false) >= neededBy(pack, false)) return asked;
  await choice.opened();
  const detail = `${short}; ${bundled.manifest.title} answers in its place until the engine is started again`;
  const instead = await providersFor(bundled);
  const problems = [{ code: "PACK_FELL_BACK", detail }] as const;
  return { pack: bundled, choice: instead, isReaderOutside: isOutside(instead, options), problems };
}

/** Why the pack does not fit into the machine's memory, for a person; undefined where it does. */
export function shortageOf(
  pack: Pick<Pack, "manifest" | "addOn">,
  machine: FreeMemory,
  isReaderOutside: boolean,
): string | undefined {
  const needed = neededBy(pack, isReaderOutside);
  if (needed <= machine.free) return undefined;
  const withAddOn = pack.addOn === undefined ? "" : " with its add-on";
  return `${pack.manifest.title}${withAddOn} takes about ${sizeText(needed)} of memory, and ${machine.name} has ${sizeText(machine.free)} of ${sizeText(machine.total)} free`;
}

/** On a server, or on a card of its own memory. */
function isOutside({ providers }: ProviderChoice, { isReaderRemote }: ChoosePackOptions): boolean {
  return isReaderRemote || providers[0] !== "cpu";
}

/** Bytes of the machine's own memory; `isReaderOutside`: the reader runs elsewhere. */
export function neededBy({ manifest, addOn }: Pick<Pack, "manifest" | "addOn">, isReaderOutside: boolean): number {
  const { reader, beside } = packMemory(manifest, addOn?.files);
  return beside + (isReaderOutside ? 0 : reader);
}
