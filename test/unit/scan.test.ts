import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { EngineError } from "../../engine/errors.ts";
import { readSource } from "../../engine/indexing/readSource.ts";
import { type ScannedFile, scan } from "../../engine/indexing/scan.ts";
import type { SkippedFile } from "../../engine/indexing/skipReasons.ts";

const MAX_BYTES = 64 * 1024;

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "precis-scan-"));
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function write(files: Record<string, string | Uint8Array>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}

async function scanned(exclude: string[] = [], from = root) {
  const files: ScannedFile[] = [];
  const skipped: SkippedFile[] = [];
  const options = { root: from, exclude, maxFileBytes: MAX_BYTES, supports: (path: string) => path.endsWith(".py") };
  for await (const found of scan(options)) {
    if ("file" in found) files.push(found.file);
    else skipped.push(found.skipped);
  }
  return { files, paths: files.map(({ path }) => path), skipped };
}

async function reasons(exclude?: string[]): Promise<Record<string, string>> {
  const { skipped } = await scanned(exclude);
  return Object.fromEntries(skipped.map(({ path, reason }) => [path, reason]));
}

/** Scans one file and reads it. */
async function read(path: string) {
  const { files } = await scanned();
  const file = files.find((each) => each.path === path);
  if (file === undefined) throw new Error(`${path} was not scanned`);
  return readSource(file, MAX_BYTES);
}

describe("ignore rules", () => {
  test("nested .gitignore files, deeper ones over shallower ones, and ignored folders unopened", async () => {
    write({
      ".gitignore": "*.gen.py\nbuild/\n/only_here.py\n",
      "a.py": "",
      "x.gen.py": "",
      "only_here.py": "",
      "build/b.py": "",
      "sub/.gitignore": "!x.gen.py\nlocal.py\n",
      "sub/x.gen.py": "",
      "sub/local.py": "",
      "sub/only_here.py": "",
      "sub/deep/local.py": "",
    });
    expect((await scanned()).paths).toEqual(["a.py", "sub/only_here.py", "sub/x.gen.py"]);
    expect(await reasons()).toMatchObject({ build: "ignored", "x.gen.py": "ignored", "sub/deep/local.py": "ignored" });
  });

  test(".precisignore speaks like .gitignore, and the setting has the last word", async () => {
    write({ ".precisignore": "a.py\n", "sub/.gitignore": "!c.py\n", "a.py": "", "b.py": "", "sub/c.py": "" });
    expect((await scanned()).paths).toEqual(["b.py", "sub/c.py"]);
    expect((await scanned(["c.py"])).paths).toEqual(["b.py"]);
  });

  test("a workspace inside a repository obeys the rules above it, unless those ignore the workspace itself", async () => {
    write({
      ".git/info/exclude": "excluded.py\n",
      ".gitignore": "generated.py\ntmp/\n",
      "pkg/a.py": "",
      "pkg/generated.py": "",
      "pkg/excluded.py": "",
      "tmp/pkg/b.py": "",
    });
    expect((await scanned([], join(root, "pkg"))).paths).toEqual(["a.py"]);
    expect((await scanned([], join(root, "tmp/pkg"))).paths).toEqual(["b.py"]);
  });

  test("environments, caches and git's own folder are never opened; a folder called build is", async () => {
    write({
      ".git/hook.py": "",
      "node_modules/x.py": "",
      "__pycache__/x.py": "",
      "env/pyvenv.cfg": "",
      "env/lib/x.py": "",
      "conda/conda-meta/history": "",
      "conda/x.py": "",
      "build/x.py": "",
    });
    expect((await scanned()).paths).toEqual(["build/x.py"]);
  });

  test("an ignore file that is no file is passed over", async () => {
    write({ ".gitignore/x.py": "", "a.py": "" });
    expect((await scanned()).paths).toEqual(["a.py", ".gitignore/x.py"]);
  });
});

describe("what is left out, with a reason", () => {
  test("by name or kind", async () => {
    write({
      ".env": "",
      ".env.local": "",
      id_rsa: "",
      "server.pem": "",
      "notes.txt": "",
      "ok.py": "",
      "environment.py": "",
    });
    expect(await reasons()).toEqual({
      ".env": "secret",
      ".env.local": "secret",
      id_rsa: "secret",
      "notes.txt": "unsupported",
      "server.pem": "secret",
    });
    expect((await scanned()).paths).toEqual(["environment.py", "ok.py"]);
  });

  test("100 MB, without being read", async () => {
    write({ "big.py": "" });
    truncateSync(join(root, "big.py"), 100 * 1024 * 1024);
    expect(await reasons()).toEqual({ "big.py": "too-large" });
  });

  test("links, whether they loop, leave the root or stay", async () => {
    write({ "a.py": "", "sub/b.py": "" });
    symlinkSync(root, join(root, "sub/loop"));
    symlinkSync("/", join(root, "away"));
    symlinkSync(join(root, "a.py"), join(root, "same.py"));
    symlinkSync(join(root, "nowhere"), join(root, "dangling.py"));
    expect((await scanned()).paths).toEqual(["a.py", "sub/b.py"]);
    expect(await reasons()).toEqual({
      away: "symlink",
      "dangling.py": "symlink",
      "same.py": "symlink",
      "sub/loop": "symlink",
    });
  });

  test("a root that is a link is followed", async () => {
    write({ "real/a.py": "" });
    symlinkSync(join(root, "real"), join(root, "link"));
    expect((await scanned([], join(root, "link"))).paths).toEqual(["a.py"]);
  });

  test("a pipe, without waiting for its other end", async () => {
    execFileSync("mkfifo", [join(root, "pipe.py")]);
    expect(await reasons()).toEqual({ "pipe.py": "unreadable" });
  });

  test("a folder named like a file is a folder", async () => {
    write({ "x.py/y.py": "" });
    expect((await scanned()).paths).toEqual(["x.py/y.py"]);
  });

  test.each(["missing", "a.py"])("a root that is %s is a named error", async (name) => {
    write({ "a.py": "" });
    await expect(scanned([], join(root, name))).rejects.toThrow(EngineError);
    await expect(scanned([], join(root, name))).rejects.toMatchObject({ code: "WORKSPACE_MISSING" });
  });
});

describe("reading", () => {
  test("keeps the text as it is, without a byte-order mark", async () => {
    write({ "a.py": "\ufeffx = '🚀'\r\n" });
    expect(await read("a.py")).toMatchObject({ file: { path: "a.py", text: "x = '🚀'\r\n" }, size: 15 });
  });

  const key = (...parts: string[]) => parts.join("");
  test.each<[string, string | Uint8Array, string]>([
    ["bytes that are no text", new Uint8Array([0, 1, 2, 3, 0, 255]), "binary"],
    ["Latin-1", Buffer.from("name = 'caf\xe9 au lait, s'il vous pla\xeet'\n", "latin1"), "not-utf8"],
    ["UTF-16", Buffer.from("\ufeffx = 1\n", "utf16le"), "not-utf8"],
    ["one endless line", `x = "${"ab ".repeat(10_000)}"\n`, "minified"],
    ["long lines throughout", `${"x = 1; ".repeat(50)}\n`.repeat(20), "minified"],
    [
      "a private key",
      key("K = '''-----BEGIN RSA ", "PRIVATE KEY-----\n", "MIIEpAIBAAKCAQEA".repeat(4), "\n'''\n"),
      "secret",
    ],
    ["a cloud key", key("k = 'AKIA", "Z7QRSTUVWXYZ2345'\n"), "secret"],
    ["a forge token", key("t = 'ghp_", "a1B2".repeat(9), "'\n"), "secret"],
  ])("leaves out %s", async (_name, content, reason) => {
    write({ "a.py": content });
    expect(await read("a.py")).toMatchObject({ skipped: { path: "a.py", reason } });
  });

  test.each([
    ["code that looks for keys", 'if "-----BEGIN RSA PRIVATE KEY-----" in text:\n    raise ValueError\n'],
    ["a documented example", `k = '${key("AKIA", "IOSFODNN7EXAMPLE")}'\n`],
    ["a short file of one long line", `x = [${"1, ".repeat(300)}]\n`],
    ["an empty file", ""],
  ])("keeps %s", async (_name, content) => {
    write({ "a.py": content });
    expect(await read("a.py")).toMatchObject({ file: { text: content } });
  });

  test.each<[string, (path: string) => void, string]>([
    ["deleted", (path) => rmSync(path), "vanished"],
    ["grown", (path) => truncateSync(path, 100 * 1024 * 1024), "too-large"],
    [
      "made a folder",
      (path) => {
        rmSync(path);
        mkdirSync(path);
      },
      "unreadable",
    ],
    [
      "made a pipe",
      (path) => {
        rmSync(path);
        execFileSync("mkfifo", [path]);
      },
      "unreadable",
    ],
    [
      "made a link",
      (path) => {
        rmSync(path);
        symlinkSync("/etc/hosts", path);
      },
      "unreadable",
    ],
  ])("a file %s since the scan", async (_name, change, reason) => {
    write({ "a.py": "x = 1\n" });
    const { files } = await scanned();
    const [file] = files;
    if (file === undefined) throw new Error("not scanned");
    change(file.absolutePath);
    expect(await readSource(file, MAX_BYTES)).toMatchObject({ skipped: { path: "a.py", reason } });
  });
});
