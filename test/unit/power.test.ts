// When background indexing waits for mains power, and one real question to this machine.
import { describe, expect, it } from "vitest";
import { LOW_PERCENT, type Power, pauseFor, readPower, remembered } from "../../engine/power.ts";

const plugged: Power = { isOnBattery: false, percent: 5 };
const full: Power = { isOnBattery: true, percent: 100 };
const low: Power = { isOnBattery: true, percent: 12.4 };

describe("background indexing", () => {
  it.each([
    ["run", plugged, undefined],
    ["run", full, undefined],
    ["run", low, undefined],
    ["pause", plugged, undefined],
    ["pause", full, { reason: "battery", percent: 100 }],
    ["pause", low, { reason: "battery", percent: 12 }],
    ["pauseWhenLow", plugged, undefined],
    ["pauseWhenLow", full, undefined],
    ["pauseWhenLow", { isOnBattery: true, percent: LOW_PERCENT }, undefined],
    ["pauseWhenLow", { isOnBattery: true, percent: LOW_PERCENT - 1 }, { reason: "battery", percent: LOW_PERCENT - 1 }],
    ["pauseWhenLow", low, { reason: "battery", percent: 12 }],
  ] as const)("with “%s” at %j: %j", (setting, power, pause) => {
    expect(pauseFor(power, setting)).toEqual(pause);
  });
});

describe("the answer of the system", () => {
  it("serves for a while, then is asked for again", async () => {
    let asked = 0;
    let now = 0;
    const read = remembered({ read: async () => ({ isOnBattery: true, percent: ++asked }), everyMs: 1000 }, () => now);
    expect([(await read()).percent, (await read()).percent]).toEqual([1, 1]);
    now = 999;
    expect((await read()).percent).toBe(1);
    now = 1000;
    expect((await read()).percent).toBe(2);
  });

  it("is a charge, and a machine without a battery is plugged in", async () => {
    const { isOnBattery, percent } = await readPower();
    expect(percent).toBeGreaterThanOrEqual(0);
    expect(percent).toBeLessThanOrEqual(100);
    if (!isOnBattery) return;
    expect(percent).toBeGreaterThan(0);
  });
});
