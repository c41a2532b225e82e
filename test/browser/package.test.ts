// What is inside the package: all that runs, for this platform only, and nothing else. Looked at as installed.
import { execFileSync } from "node:child_process";
import { globSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createProfile, installCodeServer, installExtension } from "../../scripts/codeServer.ts";
import { findPackage, temporaryFolder } from "./harness.ts";

const MAX_MEGABYTES = 60;

describe("the package", () => {
  let folder: string;
  let installed: string;
  let files: readonly string[];

  beforeAll(async () => {
    folder = temporaryFolder();
    const profile = createProfile(folder, {});
    await installExtension(await installCodeServer(), profile, findPackage());
    const [name] = readdirSync(profile.extensions).filter((entry) => entry.startsWith("precis.precis-"));
    installed = join(profile.extensions, name ?? "");
    files = globSync("**/*", { cwd: installed }).filter((file) => statSync(join(installed, file)).isFile());
  });

  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("holds this platform's binaries and no other's", () => {
    const { platform, arch } = process;
    const native = files.filter((file) => /\.(node|so|dylib|dll)(\.|$)/.test(file));
    const vectors = `sqlite-vec-${platform === "win32" ? "windows" : platform}-${arch}`;
    for (const file of native) {
      expect(file).toMatch(
        new RegExp(`/napi-v6/${platform}/${arch}/|/prebuilds/${platform}-${arch}\\.node$|/${vectors}/`),
      );
    }
    for (const part of ["/napi-v6/", "/prebuilds/", `/${vectors}/`]) {
      expect(native.filter((file) => file.includes(part)).length, part).toBeGreaterThan(0);
    }
  });

  it("holds a pack, a licence and no sources, maps, tests or training", () => {
    expect(files).toContain("packs/precis-python-small/pack.json");
    expect(files.some((file) => /^LICENSE/i.test(file))).toBe(true);
    const tops = new Set(files.map((file) => file.split("/")[0]));
    for (const top of ["engine", "extension", "test", "training", "scripts", "samples", "bench"])
      expect(tops).not.toContain(top);
    expect(files.filter((file) => file.endsWith(".map"))).toEqual([]);
  });

  it(`is smaller than ${MAX_MEGABYTES} MB`, () => {
    expect(statSync(findPackage()).size / 1e6).toBeLessThan(MAX_MEGABYTES);
  });

  it("runs where it is installed: the doctor finds nothing wrong", () => {
    const out = execFileSync(process.execPath, [join(installed, "dist/cli.js"), "doctor", "--json"], {
      encoding: "utf8",
    });
    const { ok, checks } = JSON.parse(out) as { ok: boolean; checks: readonly { name: string; ok: boolean }[] };
    expect(checks.filter((check) => !check.ok)).toEqual([]);
    expect(ok).toBe(true);
  });
});
