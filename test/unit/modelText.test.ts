// What a person reads before choosing a model: sizes, whether it fits, the licence; and what an error offers to do.
import { describe, expect, it } from "vitest";
import { ENGINE_ERRORS } from "../../engine/errors.ts";
import { ADDED_FORMAT, catalogue } from "../../engine/pack/catalogue.ts";
import type { ModelChoices, OfferedModel } from "../../engine/protocol.ts";
import {
  addOnRow,
  consentText,
  fitText,
  installedRow,
  offeredRow,
  remediesOf,
  removalText,
  sizeText,
} from "../../extension/modelText.ts";

const ADDED = { name: "a", title: "A", version: "1", licence: "mit", bytes: 67e6, isInUse: false, problem: null };
const MACHINE = { memoryBytes: 32e9, freeDiskBytes: 100e9 };
const OFFERED: OfferedModel[] = catalogue(ADDED_FORMAT).map(({ id, repository, ...model }) => ({
  ...model,
  name: id,
  source: repository,
  page: `http://hub.example/${repository}`,
  here: 0,
}));
const CHOICES: ModelChoices = {
  installed: [],
  addOns: [],
  offered: OFFERED,
  hub: { url: "http://hub.example", origin: "http://hub.example", host: "hub.example" },
  gpuLibraries: null,
  machine: MACHINE,
};

function offered(size: string): OfferedModel {
  const found = OFFERED.find(({ title }) => title.endsWith(size));
  if (found === undefined) throw new Error(`no ${size}`);
  return found;
}

describe("an offered model", () => {
  // As published: the safetensors files of each repository.
  it.each([
    ["0.5B", 0.988],
    ["1.5B", 3.087],
    ["3B", 6.172],
    ["7B", 15.231],
  ])("%s is as large as its repository", (size, gigabytes) => {
    expect(offered(size).bytes.download / 1e9).toBeCloseTo(gigabytes, 2);
  });

  it("says what it takes and what it is licensed as", () => {
    expect(offeredRow(offered("0.5B"), MACHINE, "webgpu")).toEqual({
      label: "$(cloud-download) Qwen2.5-Coder 0.5B",
      description: "fits this machine",
      detail: "About 1.0 GB download, 1.4 GB disk, 1.1 GB memory · Apache 2.0",
    });
  });

  it("says what an unfinished download left", () => {
    expect(offeredRow({ ...offered("3B"), here: 2.5e9 }, MACHINE, "webgpu").detail).toBe(
      "About 6.2 GB download, 8.4 GB disk, 4.6 GB memory · Qwen Research Licence · 2.5 GB are here",
    );
  });

  it.each([
    ["7B", MACHINE, "cpu", "fits this machine; slow without a GPU"],
    ["7B", { ...MACHINE, memoryBytes: 10e9 }, "webgpu", "fits, but leaves little memory"],
    ["7B", { ...MACHINE, memoryBytes: 4e9 }, "cpu", "does not fit: this machine has 4.0 GB of memory"],
    [
      "3B",
      { memoryBytes: 1e9, freeDiskBytes: 5e9 },
      "cpu",
      "does not fit: this machine has 1.0 GB of memory, 5.0 GB of disk are free",
    ],
  ])("%s on %j with %s %s", (size, machine, provider, words) => {
    expect(fitText(offered(size), machine, provider)).toBe(words);
  });

  it("is agreed to with its licence in sight", () => {
    const { question, detail } = consentText(offered("3B"), CHOICES);
    expect(question).toBe("Download Qwen2.5-Coder 3B?");
    expect(detail).toContain("6.2 GB are downloaded from hub.example");
    expect(detail).toContain("Licence: Qwen Research Licence. It allows research and evaluation, not commercial use.");
    expect(consentText(offered("0.5B"), CHOICES).detail).toContain("Licence: Apache 2.0.");
    const small = { ...CHOICES, machine: { memoryBytes: 1e9, freeDiskBytes: 1e12 } };
    expect(consentText(offered("3B"), small).detail).toContain("It does not fit: this machine has 1.0 GB of memory.");
  });
});

it("a pack that cannot be used says why", () => {
  const pack = { ...ADDED, isBundled: false };
  expect(installedRow(pack, true)).toEqual({
    label: "$(check) A",
    description: "in use, on this machine",
    detail: "Version 1 · 67 MB on the disk · licence mit",
  });
  expect(installedRow({ ...pack, problem: "PACK_CORRUPT: gone" }, false)).toMatchObject({
    description: "cannot be used",
    detail: "PACK_CORRUPT: gone",
  });
});

it("an add-on is shown as one", () => {
  expect(addOnRow({ ...ADDED, isInUse: true })).toEqual({
    label: "$(extensions) A",
    description: "in use, on this machine",
    detail: "Version 1 · 67 MB on the disk · add-on for mode compressed",
  });
  expect(addOnRow({ ...ADDED, problem: "ADDON_CORRUPT: gone" }).detail).toBe("ADDON_CORRUPT: gone");
});

it("before a removal it is said what goes, and what takes its place", () => {
  const idle = removalText("pack", ADDED);
  expect(idle).toEqual({
    question: "Remove A?",
    detail: "67 MB are removed from the disk. To have it back, it must be added again.",
  });
  expect(removalText("pack", { ...ADDED, isInUse: true }).detail).toContain("comes with Precis takes its place");
  expect(removalText("add-on", { ...ADDED, isInUse: true }).detail).toContain("full RAG takes the place");
});

it("every error of a download offers something to do", () => {
  for (const code of Object.keys(ENGINE_ERRORS)) expect(remediesOf(code).length).toBeGreaterThan(0);
  for (const code of ["HUB_TOKEN", "HUB_GATED"]) expect(remediesOf(code)).toContain("Set Token");
  expect(remediesOf(undefined)).toEqual(["Try Again", "Show Log"]);
});

it.each([
  [1e3, "1 MB"],
  [38.4e6, "38 MB"],
  [944e6, "940 MB"],
  [988e6, "1.0 GB"],
  [15.23e9, "15 GB"],
])("%d bytes are %s", (bytes, text) => {
  expect(sizeText(bytes)).toBe(text);
});
