// What the tests of packs from a hub share: a local hub that serves a small Qwen2 checkpoint, a folder, and a wish to add it.
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { type AddOptions, addPack } from "../../engine/addPack.ts";
import { EngineError } from "../../engine/errors.ts";
import type { HubAccess } from "../../engine/fetchCheckpoint.ts";
import { installationOf } from "../../engine/installation.ts";
import { findPack, listPacks, openPack, type Pack, verifyPack } from "../../engine/pack/pack.ts";
import { type HubFault, type HubServer, startHubServer } from "../hubServer.ts";

export const TINY = fileURLToPath(new URL("../fixtures/qwen2/tiny", import.meta.url));
export const INSTALLATION = installationOf(new URL("../../engine/cli.ts", import.meta.url).href);
export const ID = "Tiny/Coder";
export const NAME = "Tiny--Coder";
export const SHARD = "model-00002-of-00003.safetensors";
export const FIRST_SHARD = "model-00001-of-00003.safetensors";
export const FORMAT = { format: "q4", maxTokens: 2048 } as const;
export const PATIENCE = { attempts: 3, pauseMs: 1, longestMs: 2000, stallMs: 20_000 };

export type Wish = Partial<Omit<AddOptions, "hub">> & { readonly hub?: Partial<HubAccess> };

export class HubFixture {
  readonly dir: string;
  readonly companion: Pack;
  hub: HubServer;
  /** What was told of the progress. */
  readonly said: string[] = [];

  private constructor(dir: string, companion: Pack, hub: HubServer) {
    this.dir = dir;
    this.companion = companion;
    this.hub = hub;
  }

  static async open(): Promise<HubFixture> {
    const companion = await openPack(await findPack("auto", INSTALLATION.packsDir));
    const hub = await startHubServer({ repositories: { [ID]: TINY } });
    return new HubFixture(await mkdtemp(join(tmpdir(), "precis-hub-")), companion, hub);
  }

  async close(): Promise<void> {
    await this.hub.close();
    await rm(this.dir, { recursive: true, force: true });
  }

  /** In place of the hub so far. */
  async serve(options: { readonly folder?: string; readonly token?: string }): Promise<void> {
    await this.hub.close();
    const { folder = TINY, token } = options;
    this.hub = await startHubServer({ repositories: { [ID]: folder }, ...(token === undefined ? {} : { token }) });
  }

  get packsDir(): string {
    return join(this.dir, "packs");
  }

  add(wish: Wish = {}): Promise<Pack> {
    return addPack({
      source: ID,
      packsDir: this.packsDir,
      companion: this.companion,
      onProgress: ({ message }) => this.said.push(message),
      signal: new AbortController().signal,
      ...FORMAT,
      ...wish,
      hub: { endpoint: this.hub.url, patience: PATIENCE, ...wish.hub },
    });
  }

  fail(name: string, ...faults: HubFault[]): void {
    this.hub.faults.set(name, faults);
  }

  /** The same graphs and tokenizer as from the folder itself. */
  async expectWhole(pack: Pack): Promise<void> {
    const expected = await this.add({ source: TINY, packsDir: join(this.dir, "expected") });
    const { files } = (await verifyPack(pack.dir)).manifest;
    for (const [name, file] of Object.entries(expected.manifest.files))
      if (name !== "MODEL_CARD.md") expect(files[name]).toEqual(file);
  }

  async expectNothing(): Promise<void> {
    expect(await listPacks(this.packsDir)).toEqual([]);
    expect(await readdir(this.packsDir)).toEqual([]);
  }
}

/** What `work` is refused with. */
export async function failure(work: Promise<unknown>): Promise<EngineError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(EngineError);
  return error as EngineError;
}
