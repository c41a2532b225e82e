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

async function scanned(exclude: string[] = [], from = root, supports = (path: string) => path.endsWith(".py")) {
  const files: ScannedFile[] = [];
  const skipped: SkippedFile[] = [];
  const options = { root: from, exclude, maxFileBytes: MAX_BYTES, supports };
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
    expect(await reasons()).toEqual({
      ".git": "ignored",
      node_modules: "vendored",
      __pycache__: "generated",
      env: "vendored",
      conda: "vendored",
    });
  });

  test("negation and order: the last pattern that speaks wins, and nothing brings back what lies in an ignored folder", async () => {
    write({
      ".gitignore": "*.py\n!keep.py\n!kept/\nlost/\n",
      "keep.py": "",
      "other.py": "",
      "kept/.gitignore": "!mine.py\n",
      "kept/mine.py": "",
      "kept/other.py": "",
      "lost/.gitignore": "!mine.py\n",
      "lost/mine.py": "",
    });
    expect((await scanned()).paths).toEqual(["keep.py", "kept/mine.py"]);
  });

  describe("git's personal exclude file", () => {
    const before = { HOME: process.env["HOME"], XDG_CONFIG_HOME: process.env["XDG_CONFIG_HOME"] };

    afterEach(() => {
      for (const [name, value] of Object.entries(before)) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    });

    test.each([
      ["where git looks without being told", { "home/.config/git/ignore": "mine.py\n" }],
      [
        "that git's settings name",
        { "home/.gitconfig": "[core]\n\texcludesFile = ~/rules\n", "home/rules": "mine.py\n" },
      ],
    ])("%s, under what the repository says", async (_name, files) => {
      process.env["HOME"] = join(root, "home");
      delete process.env["XDG_CONFIG_HOME"];
      write({
        ...files,
        "repo/.git/HEAD": "",
        "repo/mine.py": "",
        "repo/a.py": "",
        "repo/sub/.gitignore": "!mine.py\n",
      });
      write({ "repo/sub/mine.py": "", "plain/mine.py": "" });
      expect((await scanned([], join(root, "repo"))).paths).toEqual(["a.py", "sub/mine.py"]);
      expect((await scanned([], join(root, "plain"))).paths).toEqual(["mine.py"]);
    });
  });

  test("vendored and built folders, ignored or not, and brought back by an ignore file", async () => {
    write({
      "vendor/x.py": "",
      "lib/third_party/x.py": "",
      "web/package.json": "{}",
      "web/dist/x.py": "",
      "core/Cargo.toml": "",
      "core/target/x.py": "",
      "target/x.py": "",
      "a.egg-info/x.py": "",
    });
    expect(await reasons()).toMatchObject({
      vendor: "vendored",
      "lib/third_party": "vendored",
      "web/dist": "generated",
      "core/target": "generated",
      "a.egg-info": "generated",
    });
    expect((await scanned()).paths).toEqual(["target/x.py"]);
    write({ ".precisignore": "!vendor/\n!/web/dist/\n" });
    expect((await scanned()).paths).toEqual(["target/x.py", "vendor/x.py", "web/dist/x.py"]);
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

  test.each([
    ["secret", ["prod.env", ".netrc", "id_ed25519", "tls/server.key", "credentials.json", "secrets.yaml", "x.tfstate"]],
    ["generated", ["package-lock.json", "poetry.lock", "go.sum", "x_pb2.py", "x.pb.go", "X.Designer.cs", "a.js.map"]],
    ["minified", ["jquery.min.js", "site.min.css"]],
    ["data", ["rows.csv", "events.jsonl", "icon.svg", "run.log", ".gitignore", "LICENSE", "COPYING.txt"]],
    ["binary", ["logo.png", "x.so", "libx.so.1.2", "model.onnx", "book.pdf", "x.whl"]],
  ])("by name: %s", async (reason, names) => {
    write(Object.fromEntries(names.map((name) => [name, "x"])));
    expect(await reasons()).toEqual(Object.fromEntries(names.map((name) => [name, reason])));
  });

  test("not by name: what only looks like it", async () => {
    const names = ["settings.json", "config.json", "secrets.py", "tokens.py", "environment.ts", "keys.go", "id_rsa.py"];
    write(Object.fromEntries(names.map((name) => [name, "x"])));
    expect((await scanned([], root, () => true)).paths).toEqual(names.sort());
  });

  test("tables of settings once they are large", async () => {
    write({ "small.json": "{}", "large.json": `[${'"word", '.repeat(9000)}""]`, "large.py": "x = 1\n".repeat(9000) });
    const { paths, skipped } = await scanned([], root, () => true);
    expect(paths).toEqual(["large.py", "small.json"]);
    expect(skipped).toMatchObject([{ path: "large.json", reason: "data" }]);
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
    ["a fine-grained forge token", key("t = 'github_pat_", "11AAbb_22".repeat(8), "'\n"), "secret"],
    ["a chat token", key("t = 'xoxb-", "123456789012-abcdefABCDEF1234567890'\n"), "secret"],
    ["a map service's key", key("k = 'AIza", "Sy0".repeat(11), "ab'\n"), "secret"],
    ["a payment key", key("k = 'sk_live_", "4eC39HqLyjWDarjtT1zdp7dc'\n"), "secret"],
    [
      "a signed web token",
      key("t = 'eyJ", "hbGciOiJIUzI1NiJ9.eyJ", "zdWIiOiIxMjM0NTY3ODkwIn0.", "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P'\n"),
      "secret",
    ],
    ["a random value under a telling name", key('API_KEY = "', 'q8Zt3LmWx7Rb2NvKs9Yc4HdF"\n'), "secret"],
    ["a random value in settings", key('{ "clientSecret": "', 'Vb7tQ1zXw9Lk3MnRs5Yc8HdFa2" }\n'), "secret"],
    ["a random hexadecimal value", key("password: ", "9f86d081884c7d659a2feaa0c55ad015\n"), "secret"],
    ["what a generator signed", "# Code generated by protoc. DO NOT EDIT.\nx = 1\n", "generated"],
    [
      "what says twice that no one wrote it",
      "# This file was auto-generated.\n# Please do not edit it.\nx = 1\n",
      "generated",
    ],
    ["what a tool marked", '"""@generated by a tool"""\nx = 1\n', "generated"],
    ["a table of numbers", "0123456789, 0987654321,\n".repeat(400), "data"],
    ["a drawing", "+-----|/\\|-----+  ==  ::\n".repeat(400), "minified"],
  ])("leaves out %s", async (_name, content, reason) => {
    write({ "a.py": content });
    expect(await read("a.py")).toMatchObject({ skipped: { path: "a.py", reason } });
  });

  test.each([
    ["code that looks for keys", 'if "-----BEGIN RSA PRIVATE KEY-----" in text:\n    raise ValueError\n'],
    ["a documented example", `k = '${key("AKIA", "IOSFODNN7EXAMPLE")}'\n`],
    ["a short file of one long line", `x = [${"1, ".repeat(300)}]\n`],
    ["an empty file", ""],
    ["a placeholder", 'API_KEY = "your-api-key-goes-here-1234ABCD"\n'],
    [
      "a name under a telling name",
      'token = "AuthenticationTokenFactory.createDefault"\npassword = read_password_from_prompt()\n',
    ],
    ["a checksum", 'sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"\n'],
    ["a generator", 'HEAD = "# Code generated by us. DO NOT EDIT."\ndef write(out):\n    out.write(HEAD)\n'],
    ["one that asks for care", "# Do not edit without asking the owners.\nx = 1\n"],
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
