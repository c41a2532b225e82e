// What the settings panel's page may ask for, and that nothing else gets through.
import { describe, expect, it } from "vitest";
import { parsePanelMessage } from "../../extension/panelMessages.ts";

describe("a message from the panel's page", () => {
  it.each([
    { type: "ready" },
    { type: "openSettings", setting: "precis." },
    { type: "reveal", root: "/work", path: "a/b.bin" },
    { type: "run", command: "cancelIndexing" },
    { type: "setEnabled", enabled: false },
    { type: "setMode", mode: "compressed" },
    { type: "setMode", mode: "auto" },
    { type: "run", command: "reindex" },
  ])("is understood: %j", (message) => {
    expect(parsePanelMessage(message)).toEqual(message);
  });

  it.each([
    undefined,
    null,
    "ready",
    {},
    { type: "setMode" },
    { type: "setMode", mode: "toString" },
    { type: "setEnabled", enabled: "yes" },
    { type: "run", command: "workbench.action.quit" },
    { type: "run", command: "constructor" },
    { type: "openSettings", setting: "telemetry.telemetryLevel" },
    { type: "openSettings" },
    { type: "reveal", root: "/work", path: "../../etc/passwd" },
    { type: "reveal", path: "a" },
    { type: "anything" },
  ])("is dropped: %j", (message) => {
    expect(parsePanelMessage(message)).toBeUndefined();
  });

  it("carries nothing beyond what is known", () => {
    expect(parsePanelMessage({ type: "ready", more: 1 })).toEqual({ type: "ready" });
  });
});
