import { execFile } from "node:child_process";
import { cp, mkdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { copyWorkspace, type TestWorkspace } from "./workspace.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

interface Outcome {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

function precis(...args: string[]): Promise<Outcome> {
  return run(join(ROOT, "dist/cli.js"), ...args);
}

function run(cli: string, ...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [cli, ...args], { maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      resolve({ status: typeof error?.code === "number" ? error.code : error === null ? 0 : 1, stdout, stderr });
    });
  });
}

let workspace: TestWorkspace;
let store: string[];
beforeEach(async () => {
  workspace = await copyWorkspace();
  store = ["--store", workspace.storageDir];
});
afterEach(() => workspace.remove());

describe("precis index", () => {
  it("prints the contract's JSON, and nothing is embedded twice", async () => {
    const first = JSON.parse((await precis("index", workspace.dir, "--json", ...store)).stdout);
    expect(Object.keys(first).sort()).toEqual(
      [
        "chunks",
        "dbBytes",
        "droppedFiles",
        "embedded",
        "files",
        "fused",
        "levels",
        "nodes",
        "reused",
        "seconds",
        "skipped",
      ].sort(),
    );
    expect(first).toMatchObject({
      files: 5,
      reused: 0,
      levels: { file: expect.any(Number), directory: expect.any(Number), repository: 1 },
    });
    expect(first.levels.chunk).toBe(first.chunks);
    expect(first.embedded).toBe(first.chunks);
    const second = JSON.parse((await precis("index", workspace.dir, "--json", ...store)).stdout);
    expect(second).toMatchObject({ files: 5, chunks: first.chunks, nodes: first.nodes, embedded: 0, fused: 0 });
    const forced = JSON.parse((await precis("index", workspace.dir, "--json", "--force", ...store)).stdout);
    expect(forced).toMatchObject({ files: 5, chunks: first.chunks, nodes: first.nodes });
  });

  it("takes an empty folder and names one that is missing", async () => {
    const empty = join(workspace.dir, "empty");
    await mkdir(empty);
    expect(JSON.parse((await precis("index", empty, "--json", ...store)).stdout)).toMatchObject({
      files: 0,
      chunks: 0,
    });
    const missing = await precis("index", join(workspace.dir, "absent"), "--json", ...store);
    expect(missing).toMatchObject({ status: 1, stdout: "" });
    expect(missing.stderr).toMatch(/^WORKSPACE_MISSING: /);
    expect(missing.stderr).not.toContain("    at ");
  });
});

describe("precis complete", () => {
  it("prints the contract's JSON in every mode", async () => {
    const file = join(workspace.dir, "shop/returns.py");
    const lines = (await readFile(file, "utf8")).split("\n");
    const line = lines.findIndex((text) => text.includes("self.total = Money(0)")) + 1;
    const position = `${file}:${line}:${(lines[line - 1] ?? "").indexOf("Money") + 1}`;
    for (const mode of ["none", "full", "compressed"]) {
      const { status, stdout, stderr } = await precis(
        "complete",
        position,
        "--workspace",
        workspace.dir,
        "--mode",
        mode,
        "--json",
        ...store,
      );
      expect(status, stderr).toBe(0);
      const answer = JSON.parse(stdout);
      expect(answer).toMatchObject({ mode, text: expect.any(String), promptTokens: expect.any(Number) });
      expect(Object.keys(answer.timings).sort()).toEqual(["prefillMs", "retrieveMs", "tokens", "totalMs", "ttftMs"]);
      expect(answer.contextTokens > 0).toBe(mode === "full");
      expect(answer.pseudoTokens > 0).toBe(mode === "compressed");
      expect(answer.candidates.length > 0).toBe(mode !== "none");
      for (const candidate of answer.candidates) {
        expect(Object.keys(candidate).sort()).toEqual(["end", "level", "path", "retriever", "score", "start"]);
        expect(candidate.path).not.toBe("shop/returns.py");
      }
    }
  });

  it.each([
    ["nonsense", 2, "USAGE"],
    ["shop/absent.py:1:1", 1, "FILE_MISSING"],
    ["shop/money.py:999:1", 1, "POSITION_INVALID"],
    ["shop/money.py:1:999", 1, "POSITION_INVALID"],
    ["shop/money.py:0:1", 1, "POSITION_INVALID"],
  ])("answers %s with status %i and %s", async (position, status, code) => {
    const outcome = await precis(
      "complete",
      position.includes("/") ? join(workspace.dir, position) : position,
      ...store,
    );
    expect(outcome.status).toBe(status);
    expect(outcome.stderr).toContain(code);
    expect(outcome.stderr).not.toContain("    at ");
  });

  it("offers several, and accounts for them", async () => {
    const file = join(workspace.dir, "shop/returns.py");
    const lines = (await readFile(file, "utf8")).split("\n");
    const line = lines.findIndex((text) => text.includes("self.inventory.")) + 1;
    const place = `${file}:${line}:${(lines[line - 1] ?? "").indexOf("inventory.") + 11}`;
    const asked = ["complete", place, "--workspace", workspace.dir, "--suggestions", "3", ...store];
    const answer = JSON.parse((await precis(...asked, "--json")).stdout);
    expect(answer.others.length).toBeGreaterThan(0);
    for (const other of answer.others)
      expect(other).toEqual({ text: expect.any(String), meanLogProb: expect.any(Number) });
    expect((await precis(...asked)).stdout.split("\n---\n")[0]).toBe(answer.text);
    expect((await precis(...asked, "--explain")).stdout).toContain("## Also offered");
  });

  it("knows wrong usage from failed work", async () => {
    expect((await precis("complete")).status).toBe(2);
    expect((await precis("dance")).status).toBe(2);
    expect((await precis("complete", "a.py:1:1", "--mode", "psychic")).status).toBe(2);
    expect((await precis("--help")).status).toBe(0);
  });
});

describe("precis chunks", () => {
  it("prints each chunk as the index holds it, with a pack or with a tokenizer alone", async () => {
    const rows = (await precis("chunks", workspace.dir)).stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(rows.length).toBeGreaterThanOrEqual(4);
    for (const row of rows) {
      const text = await readFile(join(workspace.dir, row.path), "utf8");
      expect(text.slice(row.start, row.end)).toBe(row.text);
      expect(row.encoderText.endsWith(row.text)).toBe(true);
    }
    const [pack] = JSON.parse((await precis("packs", "list", "--json")).stdout).packs;
    const finer = await precis(
      "chunks",
      workspace.dir,
      "--tokenizer",
      join(pack.dir, "tokenizer.json"),
      "--max-tokens",
      "40",
    );
    const lengths = finer.stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).tokens);
    expect(lengths.length).toBeGreaterThan(rows.length);
    expect(Math.max(...lengths)).toBeLessThanOrEqual(40);
  });
});

describe("precis eval", () => {
  it("scores tasks with the target's line hidden", async () => {
    const path = "shop/returns.py";
    const lines = (await readFile(join(workspace.dir, path), "utf8")).split("\n");
    const tasks = [8, 11, 12].map((line) =>
      JSON.stringify({ task_id: `shop/${line}`, repo: "workspace", path, line, target: lines[line], origin: "made" }),
    );
    const file = join(workspace.storageDir, "tasks.jsonl");
    await mkdir(workspace.storageDir, { recursive: true });
    await writeFile(file, `${tasks.join("\n")}\n`);
    const out = join(workspace.storageDir, "rows.jsonl");
    const { status, stdout, stderr } = await precis(
      "eval",
      file,
      "--repos",
      join(workspace.dir, ".."),
      "--check-parse",
      "--out",
      out,
      "--json",
      ...store,
    );
    expect(status, stderr).toBe(0);
    const { modes } = JSON.parse(stdout);
    for (const mode of ["none", "full", "compressed"]) {
      expect(Object.keys(modes[mode]).sort()).toEqual([
        "em",
        "es",
        "n",
        "offered",
        "parse",
        "promptTokensMean",
        "totalP50Ms",
        "ttftP50Ms",
        "ttftP95Ms",
        "written",
      ]);
      expect(modes[mode].n).toBe(3);
    }
    expect(modes.full.promptTokensMean).toBeGreaterThan(modes.compressed.promptTokensMean);
    expect(modes.compressed.promptTokensMean).toBeGreaterThan(modes.none.promptTokensMean);
    expect((await readFile(out, "utf8")).trim().split("\n")).toHaveLength(9);
    await writeFile(file, `${tasks[0]?.replace('"line":8', '"line":9')}\n`);
    expect(await precis("eval", file, "--repos", join(workspace.dir, ".."), ...store)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("TASKS_INVALID"),
    });
  });
});

describe("precis bench", () => {
  it("names what is missing in a command, without a stack", async () => {
    const { status, stderr } = await precis("bench", "gate");
    expect(status).toBe(2);
    expect(stderr).toMatch(/^USAGE: give --fit.*\nSee `precis --help`\.\n$/);
  });
});

describe("precis doctor and packs", () => {
  it("finds this installation able to work", async () => {
    const { status, stdout } = await precis("doctor", "--json");
    const report = JSON.parse(stdout);
    expect(report.checks.filter((check: { ok: boolean }) => !check.ok)).toEqual([]);
    expect(report.ok).toBe(true);
    expect(status).toBe(0);
  });

  it("verifies the bundled pack and refuses a damaged copy by the file's name", async () => {
    const listed = JSON.parse((await precis("packs", "list", "--json")).stdout);
    const [pack] = listed.packs;
    expect(await precis("packs", "verify", pack.id, "--json")).toMatchObject({ status: 0 });
    const copy = join(workspace.storageDir, "pack");
    await cp(pack.dir, copy, { recursive: true });
    const manifest = JSON.parse(await readFile(join(copy, "pack.json"), "utf8"));
    const damaged = join(copy, manifest.reader.file);
    const bytes = await readFile(damaged);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    await writeFile(damaged, bytes);
    const refused = await precis("packs", "verify", copy);
    expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining("PACK_CORRUPT") });
    expect(refused.stderr).toContain(manifest.reader.file);
    await rm(damaged);
    expect(
      await precis("complete", `${join(workspace.dir, "shop/money.py")}:1:1`, "--pack", copy, ...store),
    ).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("is missing"),
    });
    const doctor = await precis("doctor", "--pack", copy, "--json");
    expect(doctor.status).toBe(1);
    expect(JSON.parse(doctor.stdout).checks.find((check: { name: string }) => check.name === "pack")).toMatchObject({
      ok: false,
      fix: expect.any(String),
    });
  });
});

describe("a worker that does not start", () => {
  it("is named, and the process ends", async () => {
    const copy = join(workspace.storageDir, "installation");
    await cp(join(ROOT, "dist"), join(copy, "dist"), { recursive: true });
    await cp(join(ROOT, "packs"), join(copy, "packs"), { recursive: true });
    await symlink(join(ROOT, "node_modules"), join(copy, "node_modules"));
    await writeFile(join(copy, "package.json"), '{ "type": "module" }');
    await rm(join(copy, "dist/chunkWorker.js"));
    const { status, stderr } = await run(join(copy, "dist/cli.js"), "index", workspace.dir, ...store);
    expect(status).toBe(1);
    expect(stderr).toContain("WORKER_FAILED");
  });
});
