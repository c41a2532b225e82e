// `npm run package`: a production build, then precis-<version>-<platform>.vsix with only this platform's binaries and the packs.
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CACHE, capture, ROOT, run, runMain, step } from "./run.ts";
import { thisTarget } from "./target.ts";

/** Builds the package and returns its path. */
export async function packageExtension(): Promise<string> {
  const target = thisTarget();
  requirePack();
  step("Building for release");
  await run(process.execPath, ["esbuild.config.mjs", "--production"]);

  step(`Packaging for ${target.name}`);
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
  const vsix = join(ROOT, `precis-${version}-${target.name}.vsix`);
  rmSync(vsix, { force: true });
  mkdirSync(CACHE, { recursive: true });
  const ignoreFile = join(CACHE, `vscodeignore-${target.name}`);
  writeFileSync(ignoreFile, `${readFileSync(join(ROOT, ".vscodeignore"), "utf8")}\n${target.binaries.join("\n")}\n`);
  const vsce = join(ROOT, "node_modules/@vscode/vsce/vsce");
  await capture(process.execPath, [
    ...[vsce, "package", "--target", target.name, "--out", vsix, "--ignoreFile", ignoreFile],
    ...["--allow-missing-repository", "--no-rewrite-relative-links"],
  ]);
  console.log(`${vsix}: ${megabytes(statSync(vsix).size)}`);
  return vsix;
}

/** A package without models would install, and then offer nothing. */
function requirePack(): void {
  const hasPack = readdirSync(join(ROOT, "packs"), { withFileTypes: true }).some(
    (entry) => entry.isDirectory() && readdirSync(join(ROOT, "packs", entry.name)).includes("pack.json"),
  );
  if (!hasPack) throw new Error("packs/ holds no model pack (a folder with a pack.json); there is nothing to package.");
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}

if (import.meta.main) await runMain(packageExtension);
