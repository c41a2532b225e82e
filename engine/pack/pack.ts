// Model packs: folder -> checked manifest. No code outside this file reads pack.json, and none guesses what it does not say.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { isAbsolute, join, resolve } from "node:path";
import { Ajv } from "ajv";
import envPaths from "env-paths";
import type { Level, Mode } from "../domain.ts";
import { EngineError, errnoOf, messageOf } from "../errors.ts";
import { readManifestFile } from "./manifestFile.ts";
import schema from "./pack.schema.json" with { type: "json" };
import { isPartial } from "./partialFolders.ts";

/** pack.json, as `pack.schema.json` describes it; shapes and units are there. */
export interface PackManifest {
  readonly schemaVersion: 1;
  readonly id: string;
  readonly version: string;
  readonly title: string;
  readonly licence: string;
  readonly modelCard: string;
  readonly languages: readonly string[];
  readonly modes: readonly Mode[];
  /** Serves where the person leaves the choice to the pack; `full` where absent. */
  readonly bestMode?: Mode;
  readonly files: Readonly<Record<string, { readonly sha256: string; readonly bytes: number }>>;
  readonly tokenizer: { readonly file: string; readonly vocabSize: number };
  readonly chunking: { readonly version: number; readonly maxTokens: number };
  readonly embed: { readonly file: string };
  readonly encoder: {
    readonly file: string;
    /** The encoder's own; the pack's where it is not given. */
    readonly tokenizer?: string;
    readonly modality: "text" | "ast";
    readonly pooling: "mean" | "last";
    readonly maxTokens: number;
    readonly vectorDim: number;
    /** Special tokens before and behind every text. */
    readonly before?: readonly string[];
    readonly after?: readonly string[];
    /** Text directly before a query's own; documents have none. */
    readonly instruction?: string;
    /** Of a graph that gives every token's state, not vectors. */
    readonly states?: {
      readonly output: string;
      readonly positions?: boolean;
      readonly past?: { readonly layers: number; readonly kvHeads: number; readonly headDim: number };
    };
  };
  readonly fuser: { readonly file: string; readonly branching: number; readonly vectorDim: number };
  /** Absent from a pack without mode `compressed`. */
  readonly projector?: {
    readonly file: string;
    readonly perNode: number;
    readonly vectorDim: number;
    readonly readerDim: number;
    /** Levels whose vectors it was trained on; all where absent. */
    readonly levels?: readonly Level[];
  };
  readonly reader: {
    readonly file: string;
    /** The same reader with other weights: the kernels read tokens with them, accelerators everything. Absent where they are `file`'s. */
    readonly tokensFile?: string;
    readonly layers: number;
    readonly kvHeads: number;
    readonly headDim: number;
    readonly readerDim: number;
    readonly vocabSize: number;
    readonly maxTokens: number;
    /** sha256 of the checkpoint's tensors, whatever their format here; absent where it is not known. */
    readonly weights?: string;
  };
  readonly prompt: {
    readonly order: "psm" | "spm";
    readonly retrieved: string;
    readonly psm: string;
    readonly spm?: string;
    /** In place of them where retrieved text stands before the file. */
    readonly repository?: { readonly head: string; readonly file: string };
    /** Absent: mode compressed reads pseudo-tokens alone. */
    readonly entityNames?: { readonly template: string; readonly budget: number; readonly left: number };
    readonly stopTokens: readonly string[];
    readonly budget: {
      readonly left: number;
      readonly right: number;
      readonly context: number;
      readonly pseudoTokens: number;
      readonly newTokens: number;
    };
  };
  readonly quantisation: string;
  readonly parity: string;
  /** λ of a copied token by the number of agreeing tokens, from one on; absent: nothing is copied. */
  readonly copying?: { readonly weights: readonly number[] };
  /** File of the weights that say which offers are shown, fitted to this reader; absent: all are. */
  readonly gate?: string;
}

export interface Pack {
  readonly dir: string;
  readonly manifest: PackManifest;
  /** Where encoder, fuser and projector come from an add-on: its folder and what its manifest lists. */
  readonly addOn?: { readonly dir: string; readonly files: PackManifest["files"]; readonly parity: string };
}

/** Full path of a file of encoder, fuser or projector. */
export function indexModelPath({ dir, addOn }: Pick<Pack, "dir" | "addOn">, file: string): string {
  return join(addOn?.dir ?? dir, file);
}

/** The first digits of the sha256 of such a file and of those that hold its constants; empty where there is none. */
export function indexModelHash({ manifest, addOn }: Pack, file: string | undefined): string {
  const files = addOn?.files ?? manifest.files;
  const ofFile = Object.entries(files).filter(([name]) => file !== undefined && name.startsWith(file));
  return ofFile.map(([, { sha256 }]) => sha256.slice(0, 16)).join("");
}

/** Full path of the tokenizer that chunks are measured with and the encoder reads by. */
export function encoderTokenizerPath(pack: Pack): string {
  const { encoder, tokenizer } = pack.manifest;
  return encoder.tokenizer === undefined ? join(pack.dir, tokenizer.file) : indexModelPath(pack, encoder.tokenizer);
}

/** Reads and checks the manifest and that every file is there with the stated size; hashes are `verifyPack`'s. */
export async function openPack(dir: string): Promise<Pack> {
  const manifest = checkManifest(dir, await readManifest(dir));
  for (const [name, expected] of Object.entries(manifest.files)) {
    const size = await sizeOf(join(dir, name));
    if (size === undefined) throw new EngineError("PACK_CORRUPT", `${join(dir, name)} is missing`);
    if (size !== expected.bytes) {
      throw new EngineError(
        "PACK_CORRUPT",
        `${join(dir, name)} has ${size} bytes, the manifest says ${expected.bytes}`,
      );
    }
  }
  return { dir, manifest };
}

/** Also reads every byte: throws `PACK_CORRUPT` naming the first file whose sha256 differs. */
export async function verifyPack(dir: string): Promise<Pack> {
  const pack = await openPack(dir);
  for (const [name, expected] of Object.entries(pack.manifest.files)) {
    const actual = await sha256Of(join(dir, name));
    if (actual !== expected.sha256) {
      throw new EngineError(
        "PACK_CORRUPT",
        `${join(dir, name)} has sha256 ${actual}, the manifest says ${expected.sha256}`,
      );
    }
  }
  return pack;
}

/** Where packs that a person prepared lie, unless another folder was asked for. */
export function preparedPacksDir(): string {
  return join(envPaths("precis", { suffix: "" }).data, "packs");
}

/** They describe the other files of their folder. */
const MANIFESTS: readonly string[] = ["pack.json", "addon.json"];

/** Sizes and hashes of a folder's files, the manifest left out, as it lists them. */
export async function describeFiles(dir: string): Promise<PackManifest["files"]> {
  const files: Record<string, { sha256: string; bytes: number }> = {};
  for (const name of (await readdir(dir)).sort()) {
    const path = join(dir, name);
    if (!MANIFESTS.includes(name)) files[name] = { sha256: await sha256Of(path), bytes: (await stat(path)).size };
  }
  return files;
}

/** Folders under `packsDir` that hold a pack.json, by name. */
export async function listPacks(packsDir: string): Promise<string[]> {
  let entries: string[];
  try {
    entries = await readdir(packsDir);
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return [];
    throw new EngineError("PACK_MISSING", `${packsDir} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  const found: string[] = [];
  for (const entry of entries.sort()) {
    if (isPartial(entry)) continue;
    if ((await sizeOf(join(packsDir, entry, "pack.json"))) !== undefined) found.push(entry);
  }
  return found;
}

/**
 * The folder the setting `precis.pack` names: `auto` is the first bundled pack, else a bundled name, else one of those
 * prepared on this machine, else a path.
 */
export async function findPack(
  setting: string,
  packsDir: string,
  preparedDirs: readonly string[] = [preparedPacksDir()],
): Promise<string> {
  const bundled = await listPacks(packsDir);
  if (setting === "auto") {
    const first = bundled[0];
    if (first === undefined) throw new EngineError("PACK_MISSING", `no pack in ${packsDir}`);
    return join(packsDir, first);
  }
  if (bundled.includes(setting)) return join(packsDir, setting);
  for (const dir of preparedDirs) if ((await listPacks(dir)).includes(setting)) return join(dir, setting);
  const folder = isAbsolute(setting) ? setting : resolve(packsDir, setting);
  if ((await sizeOf(join(folder, "pack.json"))) !== undefined) return folder;
  throw new EngineError("PACK_MISSING", `no pack named ${setting}; bundled: ${bundled.join(", ") || "none"}`);
}

/** Numbers of a node's pseudo-tokens; none for a pack without a projector. */
export function pseudoLengthOf({ projector }: PackManifest): number {
  return projector === undefined ? 0 : projector.perNode * projector.readerDim;
}

function readManifest(dir: string): Promise<unknown> {
  return readManifestFile(join(dir, "pack.json"), { missing: "PACK_MISSING", corrupt: "PACK_CORRUPT" });
}

function checkManifest(dir: string, raw: unknown): PackManifest {
  const ajv = new Ajv({ allErrors: true, strict: false });
  const isManifest = ajv.compile<PackManifest>(schema);
  if (!isManifest(raw)) {
    throw new EngineError(
      "PACK_INCOMPATIBLE",
      `${join(dir, "pack.json")}: ${ajv.errorsText(isManifest.errors, { dataVar: "pack" })}`,
    );
  }
  const contradictions = contradictionsOf(raw);
  if (contradictions.length > 0) throw new EngineError("PACK_INCOMPATIBLE", `${dir}: ${contradictions.join("; ")}`);
  return raw;
}

/** What a JSON schema cannot say: numbers that must agree with each other. */
export function contradictionsOf(pack: PackManifest): string[] {
  const { embed, encoder, fuser, projector, reader, tokenizer, prompt, chunking } = pack;
  const { budget } = prompt;
  const said: string[] = [];
  for (const file of [
    tokenizer.file,
    embed.file,
    encoder.file,
    ...(encoder.tokenizer === undefined ? [] : [encoder.tokenizer]),
    fuser.file,
    ...(projector === undefined ? [] : [projector.file]),
    reader.file,
    ...(reader.tokensFile === undefined ? [] : [reader.tokensFile]),
    pack.parity,
    pack.modelCard,
    ...(pack.gate === undefined ? [] : [pack.gate]),
  ]) {
    if (!(file in pack.files)) said.push(`${file} is used but not listed under files`);
  }
  if (fuser.vectorDim !== encoder.vectorDim)
    said.push(`fuser.vectorDim ${fuser.vectorDim} is not the encoder's ${encoder.vectorDim}`);
  if (pack.bestMode !== undefined && !pack.modes.includes(pack.bestMode))
    said.push(`bestMode ${pack.bestMode} is not among its modes`);
  if (projector === undefined && pack.modes.includes("compressed")) said.push("mode compressed needs a projector");
  if (prompt[prompt.order] === undefined) said.push(`the prompt's order is ${prompt.order}, whose template is missing`);
  if (projector !== undefined && projector.vectorDim !== encoder.vectorDim)
    said.push(`projector.vectorDim ${projector.vectorDim} is not the encoder's ${encoder.vectorDim}`);
  if (projector !== undefined && projector.readerDim !== reader.readerDim)
    said.push(`projector.readerDim ${projector.readerDim} is not the reader's ${reader.readerDim}`);
  if (tokenizer.vocabSize > reader.vocabSize)
    said.push(`the tokenizer has ${tokenizer.vocabSize} tokens, the reader ${reader.vocabSize}`);
  if (chunking.maxTokens > encoder.maxTokens)
    said.push(`chunks of ${chunking.maxTokens} tokens exceed the encoder's ${encoder.maxTokens}`);
  if (projector !== undefined && budget.pseudoTokens < projector.perNode)
    said.push(`K = ${budget.pseudoTokens} is less than one node's ${projector.perNode} pseudo-tokens`);
  if (prompt.entityNames !== undefined && !prompt.entityNames.template.includes("{names}"))
    said.push("prompt.entityNames.template has no place for {names}");
  const longest = budget.left + budget.right + Math.max(budget.context, budget.pseudoTokens) + budget.newTokens;
  if (longest > reader.maxTokens)
    said.push(`the budget adds up to ${longest} tokens, the reader was trained for ${reader.maxTokens}`);
  return said;
}

/** Undefined where there is no such file. */
export async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const found = await stat(path);
    return found.isFile() ? found.size : undefined;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === "ENOENT" || errno === "ENOTDIR") return undefined;
    throw error;
  }
}

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const part of createReadStream(path)) hash.update(part);
  return hash.digest("hex");
}
