// Which mode serves: what a person chose, else what the pack says it is best at.
import { expect, it } from "vitest";
import { modeFor } from "../../engine/addOns.ts";
import type { Mode } from "../../engine/domain.ts";
import { installationOf } from "../../engine/installation.ts";
import { contradictionsOf, findPack, openPack, type Pack } from "../../engine/pack/pack.ts";

const { packsDir } = installationOf(new URL("../../engine/cli.ts", import.meta.url).href);
const bundled = await openPack(await findPack("auto", packsDir));

function packWith(modes: readonly Mode[], bestMode?: Mode): Pack {
  const { bestMode: _, ...manifest } = bundled.manifest;
  return { ...bundled, manifest: { ...manifest, modes, ...(bestMode === undefined ? {} : { bestMode }) } };
}

it("is what was chosen, whatever the pack can", () => {
  for (const mode of ["none", "full", "compressed"] as const)
    expect(modeFor(mode, packWith(["none", "full"], "full"), false)).toBe(mode);
});

it("left to the pack, is the one it names, else full RAG, else what it can", () => {
  expect(modeFor("auto", bundled, false)).toBe("compressed");
  expect(modeFor("auto", packWith(["none", "full", "compressed"]), false)).toBe("full");
  expect(modeFor("auto", packWith(["none"]), false)).toBe("none");
  expect(modeFor("auto", undefined, false)).toBe("full");
});

it("with a reader on a server is full RAG, which every server takes", () => {
  expect(modeFor("auto", bundled, true)).toBe("full");
});

it("a pack may not be best at what it cannot", () => {
  expect(contradictionsOf(packWith(["none", "full"], "compressed").manifest)).toContain(
    "bestMode compressed is not among its modes",
  );
});
