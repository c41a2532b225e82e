// What removing a pack may touch: one folder of Precis' own, and nothing that a link leads to. And what editors note for it.
import { access, lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { notedPackFolders, notePackFolder } from "../../engine/packFolders.ts";
import { removePack } from "../../engine/removePack.ts";

let dir: string;
let where: { packsDir: string; preparedDirs: string[] };
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "precis-remove-"));
  where = { packsDir: join(dir, "bundled"), preparedDirs: [join(dir, "editor"), join(dir, "own")] };
  for (const each of [where.packsDir, ...where.preparedDirs]) await mkdir(each);
});
afterEach(() => rm(dir, { recursive: true, force: true }));

async function folder(path: string, manifest = "pack.json"): Promise<string> {
  await mkdir(path, { recursive: true });
  await writeFile(join(path, manifest), "{}");
  await writeFile(join(path, "reader.onnx"), "12345678");
  return path;
}

describe("a pack that is removed", () => {
  it("goes whole, its neighbours stay, and so does one of the same name elsewhere", async () => {
    const mine = await folder(join(dir, "editor/mine"));
    await folder(join(dir, "editor/other"));
    await folder(join(dir, "own/mine"));
    expect(await removePack("mine", where)).toEqual({ kind: "pack", name: "mine", dir: mine, bytes: 10 });
    expect(await readdir(join(dir, "editor"))).toEqual(["other"]);
    expect((await removePack("mine", where)).dir).toBe(join(dir, "own/mine"));
    expect(await readdir(join(dir, "own"))).toEqual([]);
  });

  it("may be an add-on", async () => {
    await folder(join(dir, "own/projector"), "addon.json");
    expect(await removePack("projector", where)).toMatchObject({ kind: "add-on", name: "projector" });
    expect(await readdir(join(dir, "own"))).toEqual([]);
  });

  it("is a link's name, and not what the link leads to", async () => {
    const outside = await folder(join(dir, "outside"));
    await symlink(outside, join(dir, "own/linked"), "junction");
    expect(await removePack("linked", where)).toMatchObject({ bytes: 0, target: outside });
    await expect(lstat(join(dir, "own/linked"))).rejects.toThrow("ENOENT");
    expect(await readFile(join(outside, "reader.onnx"), "utf8")).toBe("12345678");
  });

  it("takes no folder along that it holds a link to", async () => {
    const outside = await folder(join(dir, "outside"));
    await symlink(outside, join(await folder(join(dir, "own/mine")), "inner"), "junction");
    await removePack("mine", where);
    expect(await readFile(join(outside, "reader.onnx"), "utf8")).toBe("12345678");
  });
});

describe("nothing is removed", () => {
  it("that comes with Precis", async () => {
    const bundled = await folder(join(where.packsDir, "small"));
    await expect(removePack("small", where)).rejects.toThrow("PACK_BUNDLED: small comes with Precis");
    await access(bundled);
  });

  it("that is not among its packs, whatever it is called", async () => {
    const outside = await folder(join(dir, "outside"));
    await mkdir(join(dir, "own/no-pack"));
    for (const name of ["nothing", "no-pack", "../outside", "..", ".", "", outside, "editor/../../outside"])
      await expect(removePack(name, where)).rejects.toThrow("PACK_UNKNOWN");
    await access(outside);
    expect((await readdir(dir)).sort()).toEqual(["bundled", "editor", "outside", "own"]);
  });
});

describe("folders that editors note", () => {
  it("are found while they are there", async () => {
    const own = join(dir, "data/packs");
    const [editor = "", other = ""] = where.preparedDirs;
    await notePackFolder(join(dir, "later"), own);
    expect(await notedPackFolders(own)).toEqual([]);
    for (const each of [editor, editor, other]) await notePackFolder(each, own);
    await mkdir(own);
    await notePackFolder(own, own);
    expect(await notedPackFolders(own)).toEqual([editor, other]);
    await rm(editor, { recursive: true });
    expect(await notedPackFolders(own)).toEqual([other]);
    await notePackFolder(where.packsDir, own);
    expect(JSON.parse(await readFile(join(dir, "data/folders.json"), "utf8"))).toEqual([other, where.packsDir]);
  });

  it("are none where the note is damaged, and it is written anew", async () => {
    await writeFile(join(dir, "folders.json"), "{[");
    expect(await notedPackFolders(join(dir, "own"))).toEqual([]);
    await notePackFolder(join(dir, "editor"), join(dir, "own"));
    expect(await notedPackFolders(join(dir, "own"))).toEqual([join(dir, "editor")]);
  });
});
