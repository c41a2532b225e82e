// Every file under infer/providers/ keeps the same promises.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { loadProvider } from "../../engine/infer/provider.ts";
import { openRuntime } from "../../engine/infer/runtime.ts";
import { openSession } from "../../engine/infer/session.ts";
import { findPack, openPack } from "../../engine/pack/pack.ts";

const FOLDER = fileURLToPath(new URL("../../engine/infer/providers", import.meta.url));
const PACKS = fileURLToPath(new URL("../../packs", import.meta.url));
const NAMES = readdirSync(FOLDER).map((file) => file.replace(/\.ts$/, ""));

describe.each(NAMES)("%s", (name) => {
  it("is registered under its file's name and runs a graph, or the CPU takes over and says so", async () => {
    expect((await loadProvider(name))?.name).toBe(name);
    const pack = await openPack(await findPack("auto", PACKS));
    const { runtime } = await openRuntime([name], 1);
    const { vectorDim, perNode, readerDim, file } = pack.manifest.projector;
    const { session, problems } = await openSession(join(pack.dir, file), { ...runtime, inputs: [], outputs: [] });
    expect(session.provider === name ? problems.length === 0 : problems[0]?.code === "PROVIDER_FELL_BACK").toBe(true);
    const { pseudo_tokens } = await session.run({
      vectors: { data: new Float32Array(vectorDim).fill(0.1), dims: [1, vectorDim] },
    });
    expect(pseudo_tokens?.dims).toEqual([1, perNode, readerDim]);
    await session.close();
  });
});

it("falls back to the CPU for a name without a file, and says so", async () => {
  for (const name of ["abacus", "../reader"]) {
    const { runtime, problems } = await openRuntime([name], 1);
    expect(runtime.providers.map((provider) => provider.name)).toEqual(["cpu"]);
    expect(problems).toMatchObject([{ code: "PROVIDER_FELL_BACK" }]);
  }
});

it("refuses a graph that is not what the manifest says, in the manifest's words", async () => {
  const pack = await openPack(await findPack("auto", PACKS));
  const { runtime } = await openRuntime(["cpu"], 1);
  const opening = openSession(join(pack.dir, pack.manifest.projector.file), {
    ...runtime,
    inputs: [
      { name: "vectors", type: "float32", dims: ["n", 7777] },
      { name: "absent", type: "int64", dims: [1] },
    ],
    outputs: [],
  });
  await expect(opening).rejects.toMatchObject({
    code: "PACK_INCOMPATIBLE",
    message: expect.stringMatching(/vectors.*7777.*absent/),
  });
});
