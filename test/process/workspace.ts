// A throw-away copy of a fixture workspace with a storage folder beside it.
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export interface TestWorkspace {
  readonly dir: string;
  readonly storageDir: string;
  remove(): Promise<void>;
}

export async function copyWorkspace(name = "shop"): Promise<TestWorkspace> {
  const parent = await mkdtemp(join(tmpdir(), "precis-test-"));
  const dir = join(parent, "workspace");
  await cp(fileURLToPath(new URL(`../fixtures/workspaces/${name}`, import.meta.url)), dir, { recursive: true });
  return { dir, storageDir: join(parent, "storage"), remove: () => rm(parent, { recursive: true, force: true }) };
}
