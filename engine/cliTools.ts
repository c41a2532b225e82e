// doctor, packs, chunks, lsp: the commands about the installation itself.
import { once } from "node:events";
import { basename, join, resolve } from "node:path";
import { createConnection, ProposedFeatures } from "vscode-languageserver/node";
import { takeAddOn } from "./addOns.ts";
import { keyFromEnvironment, print, type ReaderChoice, say, settingsOf, storeParent } from "./cliCommands.ts";
import { doctor } from "./doctor.ts";
import { EngineError } from "./errors.ts";
import { startChunker } from "./indexing/chunker.ts";
import { exportChunks } from "./indexing/exportChunks.ts";
import { checkAllParity } from "./infer/addOnParity.ts";
import type { Installation } from "./installation.ts";
import { LanguageServer } from "./languageServer.ts";
import { listAddOns, openAddOn } from "./pack/addOn.ts";
import { findPack, listPacks, openPack, type Pack, preparedPacksDir, verifyPack } from "./pack/pack.ts";
import type { ReaderFormat } from "./pack/readerFormat.ts";
import { idOf, preparePack } from "./prepare.ts";
import { removePack } from "./removePack.ts";

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
  const { packsDir, preparedDirs } = installation;
  const packs = [];
  for (const found of await dirsOf([packsDir, ...preparedDirs])) {
    try {
      const { dir, manifest } = (await takeAddOn(await openPack(found), preparedDirs)).pack;
      const { id, version, title, licence, modes } = manifest;
      packs.push({ name: basename(dir), id, version, title, licence, modes, bytes: bytesOf(manifest.files), dir });
    } catch (error) {
      // One that cannot be used hides no other.
      if (!(error instanceof EngineError)) throw error;
      say(`${error.message}\n${error.action}`);
    }
  }
  const addOns = [];
  for (const found of (await Promise.all(preparedDirs.map(listAddOns))).flat()) {
    try {
      const { dir, manifest } = await openAddOn(found);
      const { id, version, title, licence, reader } = manifest;
      const bytes = bytesOf(manifest.files);
      addOns.push({ name: basename(dir), id, version, title, licence, reader: reader.name, bytes, dir });
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      say(`${error.message}\n${error.action}`);
    }
  }
  if (options.json) return print(JSON.stringify({ packs, addOns }));
  for (const { name, version, title, licence, bytes, dir } of packs)
    print(
      `${name} ${version}  ${megabytes(bytes)}  ${licence}  ${title}${dir.startsWith(packsDir) ? "" : `\n  ${dir}`}`,
    );
  for (const { name, version, title, licence, bytes, reader, dir } of addOns)
    print(`${name} ${version}  ${megabytes(bytes)}  ${licence}  ${title}, add-on for ${reader}\n  ${dir}`);
}

export async function packsRemoveCommand(
  installation: Installation,
  name: string,
  { json }: { json?: boolean },
): Promise<void> {
  const removed = await removePack(name, installation);
  if (json) return print(JSON.stringify(removed));
  const { kind, dir, bytes, target } = removed;
  print(
    target === undefined
      ? `${dir} is removed: ${megabytes(bytes)} are free again.`
      : `${dir} was a link and is removed; ${target} stays.`,
  );
  const then = kind === "pack" ? "choose another model there" : "mode full is used there";
  print(`An open editor that uses it keeps it in memory until its models are loaded again; ${then}.`);
}

function bytesOf(files: Pack["manifest"]["files"]): number {
  return Object.values(files).reduce((sum, file) => sum + file.bytes, 0);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

/** Of these folders, in their order. */
export async function packsOf(folders: readonly string[]): Promise<Pack[]> {
  return Promise.all((await dirsOf(folders)).map((dir) => openPack(dir)));
}

async function dirsOf(folders: readonly string[]): Promise<string[]> {
  const dirs = await Promise.all(folders.map(async (at) => (await listPacks(at)).map((name) => join(at, name))));
  return dirs.flat();
}

export interface PreparePackOptions {
  readonly out?: string;
  readonly id?: string;
  readonly format: ReaderFormat;
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
  const companion = await openPack(await findPack(given.with, installation.packsDir, installation.preparedDirs));
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
  const { packsDir, preparedDirs } = installation;
  const found = await findPack(name, packsDir, preparedDirs);
  const { pack, compressedFault } = await takeAddOn(await verifyPack(found), preparedDirs);
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
  const found = await findPack(options.pack, installation.packsDir, installation.preparedDirs);
  const { dir, manifest } = await openPack(found);
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
