// Who may import whom, and which one file may import each heavy package. See ARCHITECTURE.md; this is the rule itself.
import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, test } from "vitest";
import { trackedFiles } from "./trackedFiles.ts";

/** Engine folder -> the engine folders it may import from, beside itself. */
const FOLDERS: Record<string, readonly string[]> = {
  indexing: ["store", "infer", "pack", "languages"],
  completion: ["retrieval", "store", "infer", "pack", "languages"],
  retrieval: ["store", "infer", "pack", "languages"],
  infer: ["pack"],
  store: [],
  pack: [],
  languages: [],
};

/** Files of the engine that every folder may import, and what they may import of one another. */
const FOUNDATION: Record<string, readonly string[]> = {
  "engine/domain.ts": [],
  "engine/errors.ts": [],
  "engine/config.ts": ["engine/domain.ts", "engine/errors.ts"],
  "engine/schedule.ts": ["engine/errors.ts"],
  "engine/trace.ts": ["engine/domain.ts"],
  "engine/protocol.ts": [],
};

const HEAVY: Record<string, string> = {
  chokidar: "engine/watch.ts",
  "onnxruntime-node": "engine/infer/session.ts",
  "better-sqlite3": "engine/store/store.ts",
  "sqlite-vec": "engine/store/store.ts",
  "web-tree-sitter": "engine/languages/languages.ts",
  systeminformation: "engine/power.ts",
  undici: "engine/pack/connection.ts",
  yauzl: "engine/pack/unzip.ts",
  "@huggingface/hub": "engine/pack/hub.ts",
};

interface Import {
  readonly from: string;
  /** A path in the repository, or a package's name. */
  readonly to: string;
}

const SPECIFIER = /(?:\bfrom\s+|\bimport\s*\(\s*|^import\s+)["'`]([^"'`]+)["'`]/gm;

function importsOf(file: string, text: string): Import[] {
  return [...text.matchAll(SPECIFIER)].map(([, to = ""]) => ({
    from: file,
    to: to.startsWith(".") ? normalize(join(dirname(file), to)) : packageOf(to),
  }));
}

function packageOf(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}

function folderOf(file: string): string | undefined {
  return /^engine\/([^/]+)\//.exec(file)?.[1];
}

/** Why an import breaks the rules; undefined where it does not. */
function faultOf({ from, to }: Import): string | undefined {
  const owner = HEAVY[to];
  if (owner !== undefined && from !== owner) return `only ${owner} imports ${to}`;
  if (to === "vscode" && !from.startsWith("extension/")) return "only extension/ knows the editor";
  if (from.startsWith("extension/") && to.startsWith("engine/") && to !== "engine/protocol.ts") {
    return "the extension knows the engine's protocol only";
  }
  if (!from.startsWith("engine/") || !to.includes("/") || to.startsWith("@")) return undefined;
  if (!to.startsWith("engine/")) return "the engine imports nothing of ours outside engine/";
  const foundation = FOUNDATION[from];
  if (foundation !== undefined) return foundation.includes(to) ? undefined : "the foundation imports nothing above it";
  const folder = folderOf(from);
  if (folder === undefined) return undefined;
  const target = folderOf(to);
  if (target === undefined) {
    const isOpen = to in FOUNDATION && to !== "engine/protocol.ts";
    return isOpen ? undefined : "a folder imports domain, config, errors, trace and schedule only";
  }
  if (target === folder || FOLDERS[folder]?.includes(target)) return undefined;
  return `${folder}/ does not know ${target}/`;
}

function faultsIn(imports: readonly Import[]): string[] {
  return imports.flatMap((each) => {
    const fault = faultOf(each);
    return fault === undefined ? [] : [`${each.from} imports ${each.to}: ${fault}`];
  });
}

test("every import keeps to the layers", () => {
  const files = trackedFiles(/^(engine|extension)\/.*\.ts$/);
  expect(files.length).toBeGreaterThan(30);
  expect(files.flatMap((file) => faultsIn(importsOf(file, readFileSync(file, "utf8"))))).toEqual([]);
});

test("every folder of the engine has its place in the rule", () => {
  const folders = new Set(trackedFiles(/^engine\/.*\/.*\.ts$/).map(folderOf));
  expect([...folders].sort()).toEqual(Object.keys(FOLDERS).sort());
});

describe("the rule sees", () => {
  test.each([
    ["engine/completion/complete.ts", 'import { scan } from "../indexing/scan.ts";'],
    ["engine/indexing/scan.ts", 'import type { X } from "../completion/prompt.ts";'],
    ["engine/store/reads.ts", 'import type Database from "better-sqlite3";'],
    ["engine/store/reads.ts", 'import { protocol } from "../protocol.ts";'],
    ["engine/infer/reader.ts", 'import { startEngine } from "../engine.ts";'],
    ["engine/domain.ts", 'import { EngineError } from "./errors.ts";'],
    ["engine/main.ts", 'import * as vscode from "vscode";'],
    ["engine/main.ts", 'const ort = await import("onnxruntime-node");'],
    ["engine/main.ts", 'import "onnxruntime-node/lib/x";'],
    ["engine/main.ts", 'import { x } from "../extension/client.ts";'],
    ["extension/client.ts", 'import { startEngine } from "../engine/engine.ts";'],
  ])("%s: %s", (file, text) => {
    expect(faultsIn(importsOf(file, text))).toHaveLength(1);
  });
});
