// A throw-away copy of a fixture workspace with a storage folder beside it.
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** A document beside the fixture `shop` that ends where a completion is wanted. */
export const UNFINISHED = `from shop.inventory import Inventory
from shop.money import Money


class Exchange:
    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self.total = Money(0)

    def add_line(self, name: str, count: int) -> None:
        price = self.inventory.`;

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
