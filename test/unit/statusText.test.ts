// The status bar's words for every state.
import { describe, expect, it } from "vitest";
import type { EngineStatus } from "../../engine/protocol.ts";
import {
  barText,
  executionText,
  indexedText,
  indexText,
  lastText,
  modeText,
  spokenText,
} from "../../extension/statusText.ts";

const READY: EngineStatus = {
  state: "ready",
  message: "Ready",
  mode: "full",
  modeChoice: "full",
  percent: 100,
  indexing: null,
  paused: null,
  pack: null,
  index: { files: 1, chunks: 1234, nodes: 1300, dbBytes: 1_234_567, skipped: {}, readOnly: false, folders: [] },
  execution: { provider: "cpu", isLoaded: true },
  last: null,
};

describe("the status in words", () => {
  it.each([
    ["starting", "$(loading~spin) Precis: starting"],
    ["indexing", "$(sync~spin) Precis: indexing 42 %"],
    ["ready", "$(sparkle) Precis: ready"],
    ["off", "$(circle-slash) Precis: off"],
    ["error", "$(error) Precis: error"],
  ] as const)("%s", (state, text) => {
    expect(barText({ ...READY, state, percent: 41.6 })).toBe(text);
  });

  it("tells a screen reader what is wrong, without icons", () => {
    expect(spokenText({ ...READY, state: "error", message: "PACK_MISSING: no pack" })).toBe(
      "Precis: error. PACK_MISSING: no pack",
    );
    expect(spokenText({ ...READY, state: "indexing", percent: 5 })).toBe("Precis: indexing 5 %");
  });

  it("says why a chosen mode is not there", () => {
    const pack = {
      id: "p",
      version: "1.0.0",
      title: "P",
      modes: ["none", "full"],
      compressedFault: "It needs a projector.",
    };
    expect(modeText({ ...READY, mode: "compressed", pack })).toBe("Compressed is not there. It needs a projector.");
    expect(modeText({ ...READY, mode: "full", pack })).toBe("Full RAG");
    expect(modeText({ ...READY, mode: "compressed", pack: { ...pack, compressedFault: null } })).toBe("Compressed");
    expect(modeText({ ...READY, mode: "compressed" })).toBe("Compressed");
    expect(modeText({ ...READY, modeChoice: "auto", mode: "full", pack })).toBe("Automatic: Full RAG");
    expect(modeText({ ...READY, modeChoice: "auto", mode: "none", pack: null })).toBe("Automatic");
  });

  it("says that indexing is paused, and why", () => {
    const onBattery: EngineStatus = { ...READY, paused: { reason: "battery", percent: 12 } };
    expect(barText(onBattery)).toBe("$(debug-pause) Precis: ready, indexing paused");
    expect(spokenText(onBattery)).toBe(
      "Precis: ready, indexing paused. Indexing waits for mains power: the battery is at 12 %",
    );
    expect(spokenText({ ...READY, paused: { reason: "cancelled" } })).toContain("was cancelled");
    expect(barText({ ...onBattery, state: "off" })).toBe("$(circle-slash) Precis: off");
  });

  it("tells where the reader runs", () => {
    expect(executionText(null)).toBe("not running");
    expect(executionText({ provider: "webgpu", isLoaded: true })).toBe("WebGPU");
    expect(executionText({ provider: "cpu", isLoaded: false })).toBe("CPU; not in memory until the next request");
    expect(executionText({ provider: "abacus", isLoaded: true })).toBe("abacus");
  });

  it("tells of a reader on a server, and of one that does not answer", () => {
    const on = (model: string | null, problem: string | null): EngineStatus => ({
      ...READY,
      execution: { provider: "cpu", isLoaded: false, remote: { host: "gpu:8000", model, problem } },
    });
    expect(executionText(on(null, null).execution)).toBe("gpu:8000");
    expect(executionText(on("coder", null).execution)).toBe("gpu:8000 (coder)");
    expect(barText(on("coder", null))).toBe(barText(READY));
    const away = on("coder", "ENDPOINT_UNREACHABLE: refused. Start it.");
    expect(executionText(away.execution)).toBe("gpu:8000 (coder); ENDPOINT_UNREACHABLE: refused. Start it.");
    expect(barText(away)).toBe("$(warning) Precis: the reader's server does not answer");
    expect(spokenText(away)).toBe(
      "Precis: the reader's server does not answer. gpu:8000 (coder); ENDPOINT_UNREACHABLE: refused. Start it.",
    );
    expect(barText({ ...away, state: "off" })).toBe("$(circle-slash) Precis: off");
  });

  it("tells when the workspace was last gone through", () => {
    const folder = { root: "/a", inner: [], files: 1, chunks: 1, nodes: 3, dbBytes: 1, skipped: {}, error: null };
    const at = (...times: (number | null)[]) => ({
      ...READY.index,
      folders: times.map((indexedAt) => ({ ...folder, readOnly: false, indexedAt })),
    });
    const now = new Date(2026, 10, 21, 13, 30);
    expect(indexedText(at(), now)).toBe("not yet");
    expect(indexedText(at(now.getTime(), null), now)).toBe("not yet");
    expect(indexedText(at(now.getTime(), new Date(2026, 10, 21, 9, 5).getTime()), now)).toBe("09:05");
    expect(indexedText(at(new Date(2026, 10, 20, 9, 5).getTime()), now)).toBe("November 20, 2026");
    expect(indexedText({ ...at(null), readOnly: true }, now)).toBe("by another window");
    expect(indexText(at(1, 2))).toBe("1 file in 2 folders, 1,234 chunks, 1.2 MB");
  });

  it("tells the last completion's time, mode and reason", () => {
    expect(lastText(null)).toBe("none yet");
    expect(lastText({ mode: "compressed", totalMs: 99.6, ttftMs: 20.2 })).toBe(
      "100 ms (first token 20 ms), Compressed",
    );
    expect(lastText({ mode: "full", totalMs: 9, ttftMs: 0, reason: "deadline" })).toBe(
      "nothing offered: deadline (9 ms (first token 0 ms), Full RAG)",
    );
    expect(lastText({ mode: "full", totalMs: 10, ttftMs: 113 })).toBe("10 ms (computed before), Full RAG");
  });

  it("tells the index's size and who writes it", () => {
    expect(indexText(READY.index)).toBe("1 file, 1,234 chunks, 1.2 MB");
    expect(indexText({ ...READY.index, readOnly: true })).toContain("another window writes it");
  });
});
