// Crashes: `precis index --watch` over a tree that is being edited, ended without warning at random moments, again and
// again. Each time the store must open and be sound; at the end it must hold what a clean build holds, row for row.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, cpSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseSettings, type Settings } from "../engine/config.ts";
import { type Engine, fingerprintOf } from "../engine/engine.ts";
import { storeDirOf } from "../engine/installation.ts";
import { pseudoLengthOf } from "../engine/pack/pack.ts";
import { STEPS } from "../engine/store/precision.ts";
import { openStore } from "../engine/store/store.ts";
import { randomOf } from "./random.ts";
import type { Table } from "./report.ts";

export interface KillOptions {
  readonly settings: Settings;
  /** Is edited. */
  readonly root: string;
  /** For the stores. */
  readonly dir: string;
  readonly kills: number;
  /** The settings' disk budget is one the tree does not fit in: what is killed coarsens numbers and drops files. */
  readonly isTight: boolean;
}

const SEED = 1;
/** Between two edits while the process runs. */
const EDIT_EVERY_MS = 120;
/** A process is killed within this time after it could first have begun to index; longer where it is slow to start. */
const LEAST_WINDOW_MS = 2500;

export async function killAgainAndAgain(engine: Engine, options: KillOptions): Promise<Table> {
  const { root, dir, kills } = options;
  const random = randomOf(SEED);
  const stores = join(dir, "killed");
  const startMs = await startTime(options, join(dir, "probe"));
  const windowMs = Math.max(LEAST_WINDOW_MS, 1.5 * startMs);
  const faults: string[] = [];
  const holding: number[] = [];
  const dropped: number[] = [];
  /** Kills by the step the store was left at. */
  const steps = STEPS.map(() => 0);
  const whole = join(dir, "whole");
  if (options.isTight) await build(engine, { ...options, settings: parseSettings({}).settings }, whole);
  for (let kill = 0; kill < kills; kill += 1) {
    // Each time anew the store is far too large, so that the process coarsens and drops.
    if (options.isTight) cpSync(whole, storeDirOf(stores, root), { recursive: true });
    for (let n = 0; n < 12; n += 1) edit(root, random);
    const child = spawn(process.execPath, indexCommand(options, stores, "--watch"), { stdio: "ignore" });
    const exited = once(child, "exit");
    const endAt = performance.now() + startMs * 0.5 + random() * windowMs;
    while (performance.now() < endAt) {
      await pause(Math.min(EDIT_EVERY_MS, Math.max(0, endAt - performance.now())));
      edit(root, random);
    }
    child.kill("SIGKILL");
    await exited;
    const seen = look(engine, storeDirOf(stores, root));
    faults.push(...seen.faults.map((fault) => `after kill ${kill + 1}: ${fault}`));
    holding.push(seen.files);
    dropped.push(seen.droppedFiles);
    steps[seen.step] = (steps[seen.step] ?? 0) + 1;
  }
  const finished = await build(engine, options, storeDirOf(stores, root));
  const clean = await build(engine, options, join(dir, "clean"));
  faults.push(...finished.faults, ...clean.faults);
  const isEqual = finished.digest === clean.digest;
  const maxMiB = options.settings["index.maxDiskMiB"];
  const ends = options.isTight
    ? [
        [`MiB used of ${maxMiB}, after finishing`, finished.usedMiB],
        [`MiB used of ${maxMiB}, clean build`, clean.usedMiB],
        [`kills at steps ${STEPS.map((_, step) => step).join(", ")} of the numbers`, steps.join(", ")],
        ["files dropped when killed, least to most", `${Math.min(...dropped)} to ${Math.max(...dropped)}`],
        ["files dropped, after finishing", finished.droppedFiles],
        ["files dropped, clean build", clean.droppedFiles],
      ]
    : [
        ["rows after finishing", finished.rows],
        ["rows of a clean build", clean.rows],
        ["row for row equal, ids apart", isEqual ? "yes" : "NO"],
      ];
  return {
    title: `${kills} kills during indexing and saving${options.isTight ? `, ${maxMiB} MiB of disk` : ""}`,
    columns: ["what", "outcome"],
    rows: [
      ["stores that opened and were sound", kills - new Set(faults.map((fault) => fault.split(":")[0])).size],
      ["files stored when killed, least to most", `${Math.min(...holding)} to ${Math.max(...holding)}`],
      ...ends,
    ],
    notes: [
      `Killed at a random moment of ${(windowMs / 1000).toFixed(1)} s from half the time a process takes to start, seed ${SEED}; a file was`,
      `edited, renamed or removed every ${EDIT_EVERY_MS} ms. Sound: SQLite's integrity check, and nodes, vectors, sketches and words agree.`,
      ...faults.slice(0, 10),
    ],
  };
}

function indexCommand({ root, settings }: KillOptions, stores: string, ...more: string[]): string[] {
  const maxDisk = String(settings["index.maxDiskMiB"]);
  return [process.argv[1] ?? "", "index", root, "--store", stores, "--max-disk", maxDisk, ...more];
}

/** Milliseconds of a process that finds nothing to do. */
async function startTime(options: KillOptions, stores: string): Promise<number> {
  let took = 0;
  for (let n = 0; n < 2; n += 1) {
    const startedAt = performance.now();
    await once(spawn(process.execPath, indexCommand(options, stores), { stdio: "ignore" }), "exit");
    took = performance.now() - startedAt;
  }
  return took;
}

function edit(root: string, random: () => number): void {
  const paths = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".py"));
  const path = paths[Math.floor(random() * paths.length)];
  if (path === undefined) return;
  const file = join(root, path);
  const kind = random();
  const tag = Math.floor(random() * 1e6);
  if (kind < 0.6) appendFileSync(file, `\n\ndef edited_${tag}(first):\n    return first + ${tag}\n`);
  else if (kind < 0.75) writeFileSync(file, readFileSync(file, "utf8").slice(0, -40));
  else if (kind < 0.85) renameSync(file, file.replace(/(_\d+)?\.py$/, `_${tag}.py`));
  else if (kind < 0.95) writeFileSync(file.replace(/(_\d+)?\.py$/, `_${tag}.py`), readFileSync(file));
  else if (paths.length > 20) rmSync(file);
}

function look(engine: Engine, dir: string) {
  const { store, problems } = openStore({ dir, ...shapesOf(engine) });
  const { faults } = store.check();
  const { files, droppedFiles } = store.stats();
  const { step } = store.room;
  store.close();
  return { files, droppedFiles, step, faults: [...problems.map(({ code, detail }) => `${code} ${detail}`), ...faults] };
}

async function build(engine: Engine, { root, settings }: KillOptions, storeDir: string) {
  const workspace = await engine.openWorkspace({ root, storeDir, settings });
  await workspace.index();
  workspace.close();
  const { store } = openStore({ dir: storeDir, ...shapesOf(engine) });
  const check = store.check();
  const { droppedFiles } = store.stats();
  const usedMiB = store.room.usedBytes / 2 ** 20;
  store.close();
  return { ...check, droppedFiles, usedMiB };
}

function shapesOf({ pack }: Engine) {
  const { encoder } = pack.manifest;
  return {
    fingerprint: fingerprintOf(pack),
    vectorDim: encoder.vectorDim,
    pseudoLength: pseudoLengthOf(pack.manifest),
  };
}
