// The libraries for CUDA: which the runtime's own install script names, fetched from a feed that fails, unpacked, and beside the
// runtime. The feed is a local one; its libraries are no libraries.
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { addGpuLibraries } from "../../engine/addGpuLibraries.ts";
import { linkLibraries, type RuntimeLibraries, runtimeLibraries } from "../../engine/infer/runtimeLibraries.ts";
import { type NugetServer, startNugetServer, zipOf } from "../nugetServer.ts";

const CUDA = "libonnxruntime_providers_cuda.so";
const SHARED = "libonnxruntime_providers_shared.so";
const PATIENCE = { attempts: 3, pauseMs: 1, longestMs: 2000, stallMs: 20_000 };

let dir: string;
let beside: string;
let server: NugetServer;
let libraries: RuntimeLibraries;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "precis-gpu-"));
  beside = join(dir, "runtime");
  await mkdir(beside);
  const found = runtimeLibraries("linux/x64");
  if (found === undefined) throw new Error("the runtime names none");
  const zip = zipOf({
    "LICENSE.txt": Buffer.from("MIT"),
    ...Object.fromEntries(found.files.map(({ path, name }) => [path, Buffer.from(`${name} `.repeat(500))])),
  });
  server = await startNugetServer(found.name, found.version, zip);
  libraries = { ...found, feed: server.index };
});
afterEach(async () => {
  await server.close();
  await rm(dir, { recursive: true, force: true });
});

function add(over: Partial<RuntimeLibraries> = {}): Promise<string> {
  return addGpuLibraries({
    folder: join(dir, "gpu"),
    beside,
    libraries: { ...libraries, ...over },
    patience: PATIENCE,
    onProgress: () => {},
    signal: new AbortController().signal,
  });
}

it("the runtime names a package of its own version, and CUDA's two libraries in it", async () => {
  const manifest = await readFile(new URL("../../node_modules/onnxruntime-node/package.json", import.meta.url), "utf8");
  expect(libraries.version).toBe(JSON.parse(manifest).version);
  expect(libraries.files.map(({ name }) => name).sort()).toEqual([CUDA, SHARED]);
  expect(runtimeLibraries("darwin/arm64")).toBeUndefined();
  expect(runtimeLibraries("win32/x64")).toBeUndefined();
});

describe("fetched", () => {
  it("they lie in a folder of their version and beside the runtime, and nothing else is kept", async () => {
    const out = await add();
    expect(out).toBe(join(dir, "gpu", libraries.version));
    expect((await readdir(out)).sort()).toEqual([CUDA, SHARED]);
    expect(await readFile(join(beside, CUDA), "utf8")).toBe(`${CUDA} `.repeat(500));
    expect(await readlink(join(beside, SHARED))).toBe(join(out, SHARED));
    expect(await readdir(join(dir, "downloads"))).toEqual([]);
    expect((await readdir(join(dir, "gpu"))).filter((name) => name.includes("partial"))).toEqual([]);
  });

  it("once: another wish only looks whether they are beside the runtime", async () => {
    await add();
    await rm(join(beside, CUDA));
    await add();
    expect(server.ranges).toHaveLength(1);
    expect(await readdir(beside)).toContain(CUDA);
  });

  it("from where a broken connection left off", async () => {
    server.faults.push({ afterBytes: 100 });
    await add();
    expect(server.ranges).toEqual([undefined, "bytes=100-"]);
  });
});

describe("refused, with nothing beside the runtime", () => {
  it.each([
    ["bytes that are not what the feed's catalog says", [{ damaged: true }, { damaged: true }] as const, {}, /sha512/],
    ["a version the feed has not", [], { version: "0.0.1" }, /404/],
    ["a package without them", [], { files: [{ path: "native/none.so", name: CUDA }] }, /holds no native\/none\.so/],
    ["a feed that is not there", [], { feed: "http://127.0.0.1:9/index.json" }, /ECONNREFUSED/],
  ])("%s", async (_, faults, over, message) => {
    server.faults.push(...faults);
    await expect(add(over)).rejects.toMatchObject({ code: "GPU_LIBRARIES", message: expect.stringMatching(message) });
    expect(await readdir(beside)).toEqual([]);
    expect(await readdir(join(dir, "gpu")).catch(() => [])).toEqual([]);
  });
});

describe("beside the runtime", () => {
  it("what a person put there stays", async () => {
    await writeFile(join(beside, CUDA), "theirs");
    await add();
    expect(await readFile(join(beside, CUDA), "utf8")).toBe("theirs");
  });

  it("a link to what is gone gives way, and is not made anew to nothing", async () => {
    await symlink(join(dir, "gone", CUDA), join(beside, CUDA));
    await symlink(join(dir, "gone", SHARED), join(beside, SHARED));
    const from = join(dir, "some");
    await mkdir(from);
    await writeFile(join(from, CUDA), "new");
    await linkLibraries(from, [CUDA, SHARED], beside);
    expect(await readdir(beside)).toEqual([CUDA]);
    expect(await readFile(join(beside, CUDA), "utf8")).toBe("new");
  });
});
