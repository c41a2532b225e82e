// Which add-on gives a pack the mode compressed, and in words why none does.
import { dirname, resolve } from "node:path";
import type { Mode, ModeChoice } from "./domain.ts";
import { EngineError, type Problem } from "./errors.ts";
import { type AddOn, isFor, listAddOns, openAddOn, verifyAddOn, withAddOn } from "./pack/addOn.ts";
import { type Pack, preparedPacksDir } from "./pack/pack.ts";

export interface PackInUse {
  /** With the add-on's encoder, fuser and projector where one was taken. */
  readonly pack: Pack;
  /** Why there is no mode compressed and what to do, for a person; undefined where there is. */
  readonly compressedFault?: string;
  readonly problems: readonly Problem[];
}

/**
 * Looks beside the pack and among what was added on this machine; the first by name that fits is taken. A pack with a
 * projector of its own needs none. Never throws for an add-on: without one the pack's other modes work.
 */
export async function takeAddOn(
  pack: Pack,
  preparedDirs: readonly string[] = [preparedPacksDir()],
): Promise<PackInUse> {
  if (pack.manifest.modes.includes("compressed")) return { pack, problems: [] };
  const faults: EngineError[] = [];
  for (const folder of new Set([dirname(pack.dir), ...preparedDirs].map((each) => resolve(each)))) {
    for (const dir of await listAddOns(folder)) {
      const taken = await tryAddOn(pack, dir);
      if (!(taken instanceof EngineError)) return { pack: taken, problems: [] };
      faults.push(taken);
    }
  }
  // One for another reader is in nobody's way; what is wrong with one for this reader says more.
  const fault = faults.find(({ code }) => code !== "ADDON_FOREIGN") ?? faults[0];
  if (fault === undefined) return { pack, compressedFault: noneFor(pack), problems: [] };
  const compressedFault = `${fault.message}. ${fault.action}`;
  return { pack, compressedFault, problems: [{ code: "ADDON_IGNORED", detail: fault.message }] };
}

/** The pack alone, where memory has no room for the add-on's encoder beside it. */
export function withoutRoom(pack: Pack, shortage: string): PackInUse {
  const compressedFault = `${shortage}. Close what else is running and restart the engine, or remove the add-on. Until then mode full is used.`;
  return { pack, compressedFault, problems: [{ code: "ADDON_IGNORED", detail: shortage }] };
}

async function tryAddOn(pack: Pack, dir: string): Promise<Pack | EngineError> {
  try {
    const addOn: AddOn = await openAddOn(dir);
    // What is not for this pack need not be read whole.
    return withAddOn(pack, isFor(addOn, pack) ? await verifyAddOn(dir) : addOn);
  } catch (error) {
    if (error instanceof EngineError) return error;
    throw error;
  }
}

/**
 * The mode that serves a choice. Left to a pack, it is what the pack says it is best at; to a reader on a server, what every server
 * takes. What is chosen outright is tried, and what cannot be is said (`usableModeOf`).
 */
export function modeFor(choice: ModeChoice, pack: Pack | undefined, isReaderRemote: boolean): Mode {
  if (choice !== "auto") return choice;
  const { modes = ["full"], bestMode = "full" } = pack?.manifest ?? {};
  const wanted = isReaderRemote ? "full" : bestMode;
  return [wanted, "full" as const].find((mode) => modes.includes(mode)) ?? "none";
}

function noneFor({ manifest }: Pack): string {
  const how = "Add one with `precis packs add FOLDER`; training/README.md says how to train one";
  const lacking =
    manifest.reader.weights === undefined
      ? `${manifest.id} does not say what its reader was made of, so no projector can be matched with it. Prepare the pack again`
      : `Mode compressed needs a projector that was trained for ${manifest.title}, and none is on this machine. ${how}`;
  return `${lacking}. Until then mode full is used.`;
}

/** The mode itself where the pack has it, else the next best and why. */
export function usableModeOf(
  { manifest }: Pack,
  mode: Mode,
  compressedFault: string | undefined,
): { readonly mode: Mode; readonly problems: readonly Problem[] } {
  if (manifest.modes.includes(mode) || mode !== "compressed") return { mode, problems: [] };
  const instead = manifest.modes.includes("full") ? "full" : "none";
  return {
    mode: instead,
    problems: [{ code: "MODE_FELL_BACK", detail: `${instead}: ${compressedFault ?? "no projector"}` }],
  };
}
