// A pack without a projector in an editor: mode compressed says in words why it is not there, and full mode is used, until an
// add-on is.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { installAddOn } from "../../engine/installAddOn.ts";
import { installationOf } from "../../engine/installation.ts";
import { findPack, openPack } from "../../engine/pack/pack.ts";
import { preparePack } from "../../engine/prepare.ts";
import { startClient, type TestClient } from "./client.ts";
import { copyWorkspace, type TestWorkspace } from "./workspace.ts";

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/${name}/tiny`, import.meta.url));
const TEXT = "from shop.inventory import Inventory\n\n\ndef total(inventory):\n    return ";

let workspace: TestWorkspace;
let client: TestClient | undefined;
let packs: string;
beforeEach(async () => {
  workspace = await copyWorkspace();
  packs = join(workspace.storageDir, "packs");
  const { packsDir } = installationOf(new URL("../../engine/cli.ts", import.meta.url).href);
  const companion = await openPack(await findPack("auto", packsDir));
  const how = { source: fixture("qwen2"), format: "q8", maxTokens: 1024, companion } as const;
  await preparePack({ ...how, id: "reader", out: join(packs, "reader") });
});
afterEach(async () => {
  await client?.kill();
  await workspace.remove();
});

/** The engine's account of one completion in mode compressed, and what it says of the pack. */
async function account(): Promise<{ fault: string | null | undefined; text: string; mode: string | undefined }> {
  const settings = { pack: join(packs, "reader"), mode: "compressed" };
  client = await startClient({ workspace: workspace.dir, storageDir: workspace.storageDir, settings });
  const { pack } = await client.status(({ state }) => state === "ready");
  const uri = await client.open(join(workspace.dir, "shop/total.py"), TEXT);
  await client.complete(uri, 4, 11);
  const { last } = await client.status((status) => status.last !== null);
  const text = await client.explain();
  await client.kill();
  return { fault: pack?.compressedFault, text, mode: last?.mode };
}

it("explains itself, uses full mode, and is there once an add-on is", async () => {
  const without = await account();
  expect(without.fault).toMatch(/needs a projector that was trained for tiny.*precis packs add FOLDER.*full is used/s);
  expect(without.mode).toBe("full");
  expect(without.text).toContain("none is on this machine");
  await installAddOn({ source: fixture("addOn"), parent: packs, format: "q8" });
  const added = await account();
  expect(added).toMatchObject({ fault: null, mode: "compressed" });
  expect(added.text).toContain("mode **compressed**");
});
