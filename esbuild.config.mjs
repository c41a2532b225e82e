// Bundles: the extension (CommonJS, as VS Code loads it), the engine's entries and its two workers (ES modules).
// Native packages stay outside; grammars, queries and the web-tree-sitter runtime are copied beside the bundles.
// `--production` leaves out source maps and white space; names stay, so that a stack in a user's log can be read.
import { cp, mkdir, readdir, readFile, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { build } from "esbuild";

const OUT = "dist";
const IS_PRODUCTION = process.argv.includes("--production");
const STYLE = { sourcemap: !IS_PRODUCTION, minifyWhitespace: IS_PRODUCTION, minifySyntax: IS_PRODUCTION };
const NATIVE = ["onnxruntime-node", "better-sqlite3", "sqlite-vec"];
// CommonJS dependencies inside an ES module bundle still call require.
const REQUIRE =
  'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);';

const engineEntries = {
  main: "engine/main.ts",
  cli: "engine/cli.ts",
  bench: "bench/bench.ts",
  inferWorker: "engine/infer/inferWorker.ts",
  kernelThread: "engine/infer/kernelThread.ts",
  chunkWorker: "engine/indexing/chunkWorker.ts",
  probeProcess: "engine/infer/probeProcess.ts",
  addProcess: "engine/addProcess.ts",
};

await rm(OUT, { recursive: true, force: true });
await mkdir(join(OUT, "grammars"), { recursive: true });
await Promise.all([
  build({
    entryPoints: engineEntries,
    outdir: OUT,
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node22",
    external: NATIVE,
    banner: { js: REQUIRE },
    ...STYLE,
    logLevel: "warning",
  }),
  build({
    entryPoints: { extension: "extension/extension.ts" },
    outdir: OUT,
    outExtension: { ".js": ".cjs" },
    bundle: true,
    platform: "node",
    format: "cjs",
    target: "node22",
    external: ["vscode"],
    ...STYLE,
    logLevel: "warning",
  }),
]);

await cp("engine/infer/kernels/pass.wasm", join(OUT, "pass.wasm"));

// A language is one query file whose head names its grammar.
await cp("node_modules/web-tree-sitter/web-tree-sitter.wasm", join(OUT, "grammars/web-tree-sitter.wasm"));
await mkdir(join(OUT, "languages"), { recursive: true });
for (const file of await readdir("engine/languages")) {
  if (!file.endsWith(".scm")) continue;
  const path = join("engine/languages", file);
  const grammar = /^; *grammar: *(\S+)/m.exec(await readFile(path, "utf8"))?.[1];
  if (grammar === undefined) throw new Error(`${path} has no "; grammar:" line`);
  await cp(path, join(OUT, "languages", file));
  await cp(join("node_modules", grammar), join(OUT, "grammars", basename(grammar)));
}
