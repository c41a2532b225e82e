// doctor, packs, chunks, lsp: the commands about the installation itself.
import { once } from "node:events";
import { join, resolve } from "node:path";
import { createConnection, ProposedFeatures } from "vscode-languageserver/node";
import { takeAddOn } from "./addOns.ts";
import { keyFromEnvironment, print, type ReaderChoice, say, settingsOf, storeParent } from "./cliCommands.ts";
import { doctor } from "./doctor.ts";
import { startChunker } from "./indexing/chunker.ts";
import { exportChunks } from "./indexing/exportChunks.ts";
import { checkAllParity } from "./infer/addOnParity.ts";
import type { Installation } from "./installation.ts";
import { LanguageServer } from "./languageServer.ts";
import type { MatrixFormat } from "./pack/matrices.ts";
import { findPack, listPacks, openPack, type Pack, preparedPacksDir, verifyPack } from "./pack/pack.ts";
import { idOf, preparePack } from "./prepare.ts";

export async function doctorCommand(
  installation: Installation,
  options: ReaderChoice & { json?: boolean },
): Promise<void> {
  const report = await doctor({
    installation,
    cacheDir: storeParent(undefined),
    settings: settingsOf(options),
    readerKey: keyFromEnvironment,
  });
  if (options.json) print(JSON.stringify(report));
  else
    for (const { name, ok, detail, fix } of report.checks)
      print(`${ok ? "ok  " : "FAIL"} ${name}: ${detail}${fix === undefined ? "" : `\n     ${fix}`}`);
  process.exitCode = report.ok ? 0 : 1;
}

export async function packsListCommand(installation: Installation, options: { json?: boolean }): Promise<void> {
  const packs = [];
  for (const own of await packsOf([installation.packsDir, preparedPacksDir()])) {
    const { dir, manifest } = (await takeAddOn(own)).pack;
    const bytes = Object.values(manifest.files).reduce((sum, file) => sum + file.bytes, 0);
    packs.push({
      id: manifest.id,
      version: manifest.version,
      title: manifest.title,
      licence: manifest.licence,
      modes: manifest.modes,
      bytes,
      dir,
    });
  }
  if (options.json) return print(JSON.stringify({ packs }));
  for (const pack of packs)
    print(`${pack.id} ${pack.version}  ${(pack.bytes / 1e6).toFixed(1)} MB  ${pack.licence}  ${pack.title}`);
}

/** Of these folders, in their order. */
export async function packsOf(folders: readonly string[]): Promise<Pack[]> {
  const dirs = await Promise.all(folders.map(async (at) => (await listPacks(at)).map((name) => join(at, name))));
  return Promise.all(dirs.flat().map((dir) => openPack(dir)));
}

export interface PreparePackOptions {
  readonly out?: string;
  readonly id?: string;
  readonly format: MatrixFormat;
  readonly maxTokens: number;
  readonly with: string;
  readonly json?: boolean;
}

export async function packsPrepareCommand(
  installation: Installation,
  source: string,
  { id = idOf(source), format, maxTokens, json, ...given }: PreparePackOptions,
): Promise<void> {
  const started = performance.now();
  const companion = await openPack(await findPack(given.with, installation.packsDir));
  const out = given.out ?? join(preparedPacksDir(), id);
  const { dir, manifest } = await preparePack({ source, out, id, format, maxTokens, companion, onStep: say });
  const bytes = Object.values(manifest.files).reduce((sum, file) => sum + file.bytes, 0);
  const seconds = (performance.now() - started) / 1000;
  // Kilobytes, on every system.
  const peakMiB = process.resourceUsage().maxRSS / 1024;
  if (json) return print(JSON.stringify({ id, dir, bytes, seconds, peakMiB }));
  print(
    `${dir}: ${(bytes / 1e6).toFixed(0)} MB after ${seconds.toFixed(0)} s, memory at most ${peakMiB.toFixed(0)} MiB`,
  );
  print(`Choose it with "precis.pack": ${JSON.stringify(given.out === undefined ? id : dir)}, or --pack.`);
}

export async function packsVerifyCommand(
  installation: Installation,
  name: string,
  options: { json?: boolean },
): Promise<void> {
  const { pack, compressedFault } = await takeAddOn(await verifyPack(await findPack(name, installation.packsDir)));
  const { samples, worst } = await checkAllParity(pack, ["cpu"]);
  const { id, version, files } = pack.manifest;
  if (options.json)
    return print(
      JSON.stringify({ ok: true, id, version, files: Object.keys(files).length, parity: { samples, worst } }),
    );
  print(
    `${id} ${version}: ${Object.keys(files).length} files have their sha256; ${samples} parity samples within tolerance`,
  );
  if (pack.addOn !== undefined) print(`encoder, fuser and projector of ${pack.addOn.dir}`);
  if (compressedFault !== undefined) print(compressedFault);
}

export interface ChunksOptions {
  readonly pack: string;
  readonly tokenizer?: string;
  readonly maxTokens?: number;
}

/** Needs no models: training cuts its corpus with the engine's chunker before there are any. */
export async function chunksCommand(installation: Installation, dir: string, options: ChunksOptions): Promise<void> {
  const chunker = await startChunker({
    workerUrl: installation.workers.chunker,
    ...(await chunkingOf(installation, options)),
    isLinearised: true,
  });
  try {
    for await (const chunk of exportChunks(dir, chunker)) {
      if (!process.stdout.write(`${JSON.stringify(chunk)}\n`)) await once(process.stdout, "drain");
    }
  } finally {
    await chunker.close();
  }
}

async function chunkingOf(
  installation: Installation,
  options: ChunksOptions,
): Promise<{ tokenizerFile: string; maxTokens: number }> {
  const { tokenizer, maxTokens } = options;
  if (tokenizer !== undefined && maxTokens !== undefined) return { tokenizerFile: resolve(tokenizer), maxTokens };
  const { dir, manifest } = await openPack(await findPack(options.pack, installation.packsDir));
  return {
    tokenizerFile: tokenizer === undefined ? join(dir, manifest.tokenizer.file) : resolve(tokenizer),
    maxTokens: maxTokens ?? manifest.chunking.maxTokens,
  };
}

/** Serves until the client ends the session. */
export async function lspCommand(installation: Installation): Promise<void> {
  const connection = createConnection(ProposedFeatures.all, process.stdin, process.stdout);
  const server = new LanguageServer(connection, installation);
  process.on("unhandledRejection", (error) => server.reportBug(error));
  server.listen();
  await new Promise<void>((resolve) => connection.onExit(resolve));
}
