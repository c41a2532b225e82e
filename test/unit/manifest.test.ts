// The manifest and the code agree: settings come from one table, every contributed command is registered, and what is
// declared exists. `UPDATE=1` writes the settings of engine/config.ts into package.json.
import { readFileSync, writeFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { SETTINGS } from "../../engine/config.ts";

const MANIFEST = new URL("../../package.json", import.meta.url);

interface Manifest {
  readonly icon: string;
  readonly capabilities: { readonly untrustedWorkspaces: { readonly restrictedConfigurations: readonly string[] } };
  readonly contributes: {
    configuration: unknown;
    readonly commands: readonly { readonly command: string; readonly title: string; readonly category: string }[];
  };
}

const manifest = JSON.parse(readFileSync(MANIFEST, "utf8")) as Manifest;
const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

function expectedConfiguration(): unknown {
  const rows = Object.entries(SETTINGS).map(([name, row]) => [`precis.${name}`, row]);
  return { title: "Precis", properties: Object.fromEntries(rows) };
}

describe("package.json", () => {
  it("contributes exactly the settings of engine/config.ts", () => {
    if (process.env["UPDATE"] === "1") {
      manifest.contributes.configuration = expectedConfiguration();
      writeFileSync(MANIFEST, `${JSON.stringify(manifest, null, 2)}\n`);
    }
    expect(manifest.contributes.configuration).toEqual(JSON.parse(JSON.stringify(expectedConfiguration())));
  });

  it("restricts only settings that exist", () => {
    const names = Object.keys(SETTINGS).map((name) => `precis.${name}`);
    expect(names).toEqual(
      expect.arrayContaining([...manifest.capabilities.untrustedWorkspaces.restrictedConfigurations]),
    );
  });

  it("contributes exactly the commands the extension registers", () => {
    const source = read("extension/commands.ts");
    const registered = [...source.matchAll(/"(precis\.\w+)"\s*:/g)].map((match) => match[1]);
    const menu = /MENU_COMMAND = "([^"]+)"/.exec(source)?.[1];
    const contributed = manifest.contributes.commands.map((command) => command.command);
    expect([...contributed].sort()).toEqual([...registered, menu].sort());
  });

  it("files every command under Precis", () => {
    expect(new Set(manifest.contributes.commands.map((command) => command.category))).toEqual(new Set(["Precis"]));
  });

  it("has an icon of at least 128 by 128 pixels", () => {
    const png = readFileSync(new URL(`../../${manifest.icon}`, import.meta.url));
    expect(png.subarray(1, 4).toString()).toBe("PNG");
    expect(png.readUInt32BE(16)).toBeGreaterThanOrEqual(128);
    expect(png.readUInt32BE(20)).toBe(png.readUInt32BE(16));
  });
});
