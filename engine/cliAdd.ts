// packs add: what a person gets or brings, each kind by what its folder holds.
import { basename, resolve } from "node:path";
import { addPack } from "./addPack.ts";
import { print, say } from "./cliCommands.ts";
import { packsOf } from "./cliTools.ts";
import { EngineError } from "./errors.ts";
import { installAddOn } from "./installAddOn.ts";
import type { Installation } from "./installation.ts";
import { hubEndpoint, hubToken } from "./modelSession.ts";
import { isAddOn, isFor } from "./pack/addOn.ts";
import { findPack, openPack, preparedPacksDir } from "./pack/pack.ts";
import { isMatrixFormat, type ReaderFormat } from "./pack/readerFormat.ts";

export interface AddOptions {
  readonly hub: string;
  readonly format?: ReaderFormat;
  readonly maxTokens: number;
  readonly into?: string;
  readonly encoder?: string;
  readonly json?: boolean;
}

export async function packsAddCommand(installation: Installation, source: string, options: AddOptions): Promise<void> {
  return (await isAddOn(source)) ? addAddOn(installation, source, options) : add(installation, source, options);
}

/** What came is kept when it is interrupted; the same command goes on from there. */
async function add(
  installation: Installation,
  source: string,
  { hub, format = "q4", maxTokens, into, encoder, json }: AddOptions,
): Promise<void> {
  if (encoder !== undefined) throw new EngineError("USAGE", "--encoder is for a projector add-on");
  const started = performance.now();
  const { dir, manifest } = await addPack({
    format,
    maxTokens,
    source,
    packsDir: resolve(into ?? preparedPacksDir()),
    companion: await openPack(await findPack("auto", installation.packsDir)),
    hub: { endpoint: hubEndpoint(hub), token: hubToken() },
    onProgress: ({ message }) => say(message),
    signal: new AbortController().signal,
  });
  const bytes = Object.values(manifest.files).reduce((sum, file) => sum + file.bytes, 0);
  const seconds = (performance.now() - started) / 1000;
  const name = into === undefined ? basename(dir) : dir;
  if (json) return print(JSON.stringify({ id: manifest.id, dir, bytes, seconds }));
  print(`${manifest.title}: ${(bytes / 1e6).toFixed(0)} MB in ${dir}`);
  print(`Choose it with "precis.pack": ${JSON.stringify(name)}, or --pack.`);
}

async function addAddOn(
  { packsDir }: Installation,
  source: string,
  { encoder, format = "q8", into, json }: AddOptions,
): Promise<void> {
  if (!isMatrixFormat(format))
    throw new EngineError("USAGE", `an encoder cannot be in ${format}; give another --format`);
  const parent = resolve(into ?? preparedPacksDir());
  const addOn = await installAddOn({ source, parent, encoder, format, onStep: say });
  const { id, version, reader } = addOn.manifest;
  const packs = await packsOf([packsDir, parent]);
  const fits = packs.filter((pack) => isFor(addOn, pack)).map(({ manifest }) => manifest.id);
  if (json) return print(JSON.stringify({ id, version, dir: addOn.dir, fits }));
  print(`${addOn.dir}: ${id} ${version}, for ${reader.name}`);
  print(
    fits.length === 0
      ? `No pack here has that reader yet: get it with \`precis packs add\`, or make one with \`precis packs prepare\`.`
      : `Mode compressed is there for ${fits.join(", ")}; in an open editor, after “Precis: Restart Engine”.`,
  );
}
