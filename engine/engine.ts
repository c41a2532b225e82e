// Composition root: the one place that knows every concrete part. A pack's models are opened once; each workspace folder
// has a store, an indexer and retrievers of its own.
import { basename, join } from "node:path";
import { takeAddOn, usableModeOf, withoutRoom } from "./addOns.ts";
import { choosePack, shortageOf } from "./choosePack.ts";
import { type CompleteDeps, type CompleteOptions, type Completion, complete } from "./completion/complete.ts";
import { createDocumentSyntax, type DocumentSyntax } from "./completion/documentSyntax.ts";
import { reservedWords } from "./completion/languageWords.ts";
import { type Gate, openGate } from "./completion/openGate.ts";
import type { Cursor } from "./completion/prompt.ts";
import { ReaderCache } from "./completion/readerCache.ts";
import { RecentCompletions } from "./completion/recentCompletions.ts";
import { StickyCandidates } from "./completion/stickyCandidates.ts";
import { createWeigh, type WeighDeps } from "./completion/weigh.ts";
import type { Settings } from "./config.ts";
import type { Mode } from "./domain.ts";
import { EngineError, type Problem } from "./errors.ts";
import { CHUNKER_VERSION } from "./indexing/chunk.ts";
import { type Chunker, startChunker } from "./indexing/chunker.ts";
import {
  type Changes,
  createIndexer,
  type IndexOptions,
  type IndexReport,
  type UpdateReport,
} from "./indexing/indexer.ts";
import { chooseProviders, type ProviderSurvey, surveyProviders } from "./infer/chooseProviders.ts";
import { type MemorySource, SYSTEM_MEMORY } from "./infer/freeMemory.ts";
import { type InferenceModels, startInferThread } from "./infer/inferThread.ts";
import type { Models } from "./infer/models.ts";
import { rememberTokens } from "./infer/rememberedTokens.ts";
import { endpointOf } from "./infer/remote/address.ts";
import { withRemoteReader } from "./infer/remote/remoteModels.ts";
import { RemoteReader } from "./infer/remote/remoteReader.ts";
import { loadTokenizer, type Tokenizer } from "./infer/tokenizer.ts";
import { type Languages, loadLanguages } from "./languages/languages.ts";
import { encoderTokenizerPath, indexModelHash, type Pack, pseudoLengthOf } from "./pack/pack.ts";
import { RecentFiles } from "./retrieval/recentFiles.ts";
import { createRetrieve, loadRetrievers } from "./retrieval/retrieve.ts";
import { Schedule } from "./schedule.ts";
import { openStore, type Store, type StoreStats } from "./store/store.ts";

export interface EngineOptions {
  readonly packsDir: string;
  /** Folders that hold packs made on this machine; the user's own when absent. */
  readonly preparedDirs?: readonly string[];
  readonly settings: Settings;
  /** Entries of the two workers and of the process that asks a provider: beside the bundle, or the source files. */
  readonly workers: { readonly inference: URL; readonly chunker: URL; readonly probe: URL };
  /** Where it is remembered how execution providers answered; without one they are asked at every start. */
  readonly cacheDir?: string;
  /** Told of what goes wrong later without a request failing. */
  readonly onProblem?: (problem: Problem) => void;
  /** Told when the models were opened or closed. */
  readonly onModels?: () => void;
  /** False: nothing is kept between requests, so that it can be measured what keeping gives. */
  readonly keeps?: boolean;
  /** How free memory is looked at; the system's own when absent. */
  readonly memory?: MemorySource;
  /** The key of a server, by its scheme, host and port. */
  readonly readerKey?: (origin: string) => string | undefined;
}

export interface Engine {
  readonly pack: Pack;
  readonly tokenizer: Tokenizer;
  readonly chunker: Chunker;
  readonly models: InferenceModels;
  /** The reader, where it runs on a server. */
  readonly remote: RemoteReader | undefined;
  /** Why the mode compressed cannot be used and what to do, for a person; undefined where it can. */
  readonly compressedFault: string | undefined;
  /** Says which offers are shown; undefined for a pack without one. */
  readonly gate: Gate | undefined;
  readonly problems: readonly Problem[];
  /** Asks every execution provider what it can, lets those that answer rightly read with the pack, and takes up the fastest. */
  surveyProviders(how?: { readonly isFresh?: boolean }): Promise<ProviderSurvey>;
  openWorkspace(options: WorkspaceOptions): Promise<Workspace>;
  /** What files of that editor's language end with, such as `.py`; `""` for a language that nobody knows here. */
  extensionOf(languageId: string): string;
  /** For a document outside every workspace folder: no retrieval. */
  complete(cursor: Cursor, options: CompleteOptions, signal?: AbortSignal): Promise<Completion>;
  /** Whether memory holds the answer, so that nothing need be computed. */
  remembers(cursor: Cursor, mode: Mode): boolean;
  close(): Promise<void>;
}

export interface WorkspaceOptions {
  readonly root: string;
  readonly storeDir: string;
  readonly settings: Settings;
}

export interface Workspace {
  readonly root: string;
  readonly problems: readonly Problem[];
  readonly isReadOnly: boolean;
  /** Another number after every change of the store, whoever made it. */
  readonly generation: number;
  /** True when this process writes the store from now on, as the window that did has gone. */
  takeOver(): boolean;
  stats(): StoreStats;
  /** Whether the index holds that file. */
  has(path: string): boolean;
  index(options?: IndexOptions): Promise<IndexReport>;
  /** A person opened or edited that file just now. */
  touched(path: string): void;
  /** Texts as an editor holds them, saved or not. */
  update(changes: Changes, signal?: AbortSignal): Promise<UpdateReport>;
  /** Files and folders of the workspace that may have changed on the disk. */
  refresh(paths: readonly string[], signal?: AbortSignal): Promise<UpdateReport>;
  complete(cursor: Cursor, options: CompleteOptions, signal?: AbortSignal): Promise<Completion>;
  /** Whether memory holds the answer, so that nothing need be computed. */
  remembers(cursor: Cursor, mode: Mode): boolean;
  close(): void;
}

export async function startEngine(options: EngineOptions): Promise<Engine> {
  const { settings, keeps = true } = options;
  const endpoint = endpointOf(settings["reader.endpoint"], settings["reader.model"]);
  const names = settings["execution.providers"];
  const threads = settings["execution.threads"];
  const asked = { probeUrl: options.workers.probe, cacheDir: options.cacheDir, threads };
  const chosen = await choosePack({
    settings,
    packsDir: options.packsDir,
    preparedDirs: options.preparedDirs,
    asking: asked,
    isReaderRemote: endpoint !== undefined,
    ...(options.memory === undefined ? {} : { memory: options.memory }),
  });
  const { choice, problems: ofChoice } = chosen;
  const taken = await takeAddOn(chosen.pack, options.preparedDirs);
  const machine = (options.memory ?? SYSTEM_MEMORY).machine();
  const shortage = taken.pack.addOn && shortageOf(taken.pack, machine, chosen.isReaderOutside);
  const inUse = shortage === undefined ? taken : withoutRoom(chosen.pack, shortage);
  const { pack, compressedFault, problems: ofAddOn } = inUse;
  const { manifest } = pack;
  if (manifest.chunking.version !== CHUNKER_VERSION) {
    throw new EngineError(
      "PACK_INCOMPATIBLE",
      `${manifest.id} wants chunker ${manifest.chunking.version}, this is ${CHUNKER_VERSION}`,
    );
  }
  const tokenizerFile = join(pack.dir, manifest.tokenizer.file);
  const tokenizer = rememberTokens(await loadTokenizer(tokenizerFile));
  const { gate, problems: ofGate } = await openGate(pack);
  const languages = await loadLanguages();
  const asking = { ...asked, pack };
  const { models: local, problems: ofModels } = await startInferThread({
    workerUrl: options.workers.inference,
    data: {
      packDir: pack.dir,
      ...(pack.addOn === undefined ? {} : { addOnDir: pack.addOn.dir }),
      providers: choice.providers,
      threads,
      keeps,
      isReaderRemote: endpoint !== undefined,
    },
    schedule: new Schedule(),
    unloadAfterMs: settings["execution.unloadAfterMinutes"] * 60_000,
    ...(options.onProblem === undefined ? {} : { onProblem: options.onProblem }),
    ...(options.onModels === undefined ? {} : { onChange: options.onModels }),
  });
  await choice.opened();
  const remote =
    endpoint === undefined
      ? undefined
      : new RemoteReader({
          endpoint,
          tokenizer,
          manifest,
          rows: (input, signal) => local.rows(input, signal),
          key: options.readerKey?.(endpoint.origin),
          onChange: options.onModels,
        });
  const models = remote === undefined ? local : withRemoteReader(local, remote);
  const problems = [...ofChoice, ...ofAddOn, ...choice.problems, ...ofModels, ...ofGate];
  const chunker = await startChunker({
    workerUrl: options.workers.chunker,
    tokenizerFile: encoderTokenizerPath(pack),
    maxTokens: manifest.chunking.maxTokens,
    isLinearised: manifest.encoder.modality === "ast",
  }).catch(async (error: unknown) => {
    // A worker left behind would keep the process alive.
    await models.close();
    throw error;
  });
  const syntax = createDocumentSyntax(languages);
  const usableMode: CompleteDeps["usableMode"] = async (wanted, signal) => {
    const { mode, problems } = usableModeOf(pack, wanted, compressedFault);
    return mode === wanted && remote !== undefined ? remote.usableMode(mode, signal) : { mode, problems };
  };
  const withoutIndex = {
    manifest,
    tokenizer,
    models,
    weigh: createWeigh({ languageOf: languageOf(languages), gate: () => gate }),
    usableMode,
    pseudoTokensOf: () => new Map<number, Float32Array>(),
    recent: new RecentCompletions(),
    written: new ReaderCache(),
    syntax,
  };
  return {
    pack,
    tokenizer,
    chunker,
    models,
    remote,
    compressedFault,
    gate,
    problems,
    surveyProviders: async (how) => {
      // A provider's trial reads with the pack's reader, which has nothing to do then.
      if (remote !== undefined) return { probes: [], trials: [] };
      const survey = await surveyProviders({ ...asking, ...how });
      if (names.includes("auto")) {
        const { providers } = await chooseProviders(names, asking);
        if (providers[0] !== models.provider) await models.useProviders(providers);
      }
      return survey;
    },
    openWorkspace: (workspace) =>
      openWorkspace({ pack, tokenizer, models, usableMode, chunker, syntax, languages, gate, keeps }, workspace),
    extensionOf: (languageId) => languages.forId(languageId)?.extensions[0] ?? "",
    complete: (cursor, how, signal) => complete(cursor, how, withoutIndex, signal),
    remembers: (cursor, mode) => withoutIndex.recent.find(cursor, mode) !== undefined,
    close: async () => {
      syntax.clear();
      await Promise.all([models.close(), chunker.close()]);
    },
  };
}

interface Shared {
  readonly pack: Pack;
  readonly tokenizer: Tokenizer;
  readonly models: Models;
  readonly usableMode: NonNullable<CompleteDeps["usableMode"]>;
  readonly chunker: Chunker;
  readonly syntax: DocumentSyntax;
  readonly languages: Languages;
  readonly gate: Gate | undefined;
  readonly keeps: boolean;
}

async function openWorkspace(shared: Shared, options: WorkspaceOptions): Promise<Workspace> {
  const { pack, tokenizer, models, usableMode, chunker, syntax, languages, gate, keeps } = shared;
  const { manifest } = pack;
  const { root, storeDir, settings } = options;
  const { store, problems: ofStore } = openStore({
    dir: storeDir,
    fingerprint: fingerprintOf(pack),
    vectorDim: manifest.encoder.vectorDim,
    pseudoLength: pseudoLengthOf(manifest),
  });
  const recentFiles = new RecentFiles();
  const { retrievers, problems: ofRetrievers } = await loadRetrievers(settings["retrieval.retrievers"], {
    store,
    models,
    recentFiles,
  });
  // Nothing waits for it: a search that comes first reads what is missing, and reports what this meets.
  store.warm().catch(() => {});
  const indexer = createIndexer({
    root,
    store,
    chunker,
    models,
    branching: manifest.fuser.branching,
    modality: manifest.encoder.modality,
    settings,
  });
  const recent = new RecentCompletions();
  const reserved = reservedWords();
  const deps = {
    manifest,
    tokenizer,
    models,
    repository: basename(root),
    usableMode,
    retrieve: createRetrieve(store, retrievers, { minOverlap: settings["retrieval.minOverlap"] }),
    pseudoTokensOf: (ids: readonly number[]) => store.pseudoTokens(ids),
    weigh: createWeigh({ languageOf: languageOf(languages), names: store, gate: () => gate }),
    reservedIn: (path: string) => reserved(languages.forPath(path)?.name),
    ...(keeps ? { recent, written: new ReaderCache(), sticky: new StickyCandidates(() => store.generation) } : {}),
    syntax,
  };
  return {
    root,
    problems: [...ofStore, ...ofRetrievers],
    get isReadOnly() {
      return store.readOnly;
    },
    get generation() {
      return store.generation;
    },
    takeOver: () => store.readOnly && store.tryBecomeWriter(),
    stats: () => store.stats(),
    has: (path) => store.file(path) !== undefined,
    touched: (path) => recentFiles.touch(path),
    index: (how) => becomeWriter(store, () => indexer.index(how)),
    update: (changes, signal) => becomeWriter(store, () => indexer.update(changes, signal)),
    refresh: (paths, signal) => becomeWriter(store, () => indexer.refresh(paths, signal)),
    complete: (cursor, how, signal) => complete(cursor, how, deps, signal),
    remembers: (cursor, mode) => recent.find(cursor, mode) !== undefined,
    close: () => store.close(),
  };
}

function languageOf(languages: Languages): WeighDeps["languageOf"] {
  return (path, languageId) => languages.forPath(path) ?? languages.forId(languageId);
}

/** The window that wrote the store may have been closed since. */
function becomeWriter<T>(store: Store, work: () => Promise<T>): Promise<T> {
  if (store.readOnly) store.tryBecomeWriter();
  return work();
}

/** A store made by other models, another chunker or another encoder cannot be read with these. */
export function fingerprintOf(pack: Pack): { chunker: number; pack: string } {
  const { manifest } = pack;
  const { encoder, fuser, projector, tokenizer } = manifest;
  const names = [encoder.file, fuser.file, projector?.file, encoder.tokenizer ?? tokenizer.file];
  const hashes = names.map((file) => indexModelHash(pack, file));
  // How the encoder reads is part of what an add-on's vectors are.
  const { before, after, pooling, maxTokens, modality } = encoder;
  if (pack.addOn !== undefined) hashes.push(JSON.stringify([before, after, pooling, maxTokens, modality]));
  return {
    chunker: manifest.chunking.version,
    pack: `${manifest.id}@${manifest.version}:${manifest.chunking.maxTokens}:${hashes.join(":")}`,
  };
}
