import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { copyWorkspace, type TestWorkspace } from "./workspace.ts";

const CLI = fileURLToPath(new URL("../../dist/cli.js", import.meta.url));

let workspace: TestWorkspace;
let watching: ChildProcess | undefined;

beforeEach(async () => {
  workspace = await copyWorkspace();
});
afterEach(async () => {
  watching?.kill("SIGKILL");
  await workspace.remove();
});

it("precis index --watch takes in what changes on the disk, one line a look, and ends on Ctrl-C", async () => {
  const { dir, storageDir } = workspace;
  const child = spawn(process.execPath, [CLI, "index", dir, "--watch", "--json", "--store", storageDir], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  watching = child;
  const exited = once(child, "exit");
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const nextLine = async () => JSON.parse(String((await lines.next()).value));
  const words = createInterface(child.stderr)[Symbol.asyncIterator]();
  const first = await nextLine();
  expect(first).toMatchObject({ files: 5 });
  while (!String((await words.next()).value).startsWith("watching ")) {}

  await appendFile(join(dir, "shop/orders.py"), "\n\ndef watched(order):\n    return order.total * 2\n");
  const saved = await nextLine();
  expect(saved).toMatchObject({ changed: 1 });
  expect(saved.embedded).toBeGreaterThan(0);
  expect(saved.embedded).toBeLessThan(first.chunks);

  await rename(join(dir, "shop"), join(dir, "store"));
  expect((await nextLine()).embedded).toBe(0);

  child.kill("SIGINT");
  expect(await exited).toEqual([0, null]);
});
