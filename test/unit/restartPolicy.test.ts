// How long a dead engine's restart waits, and when the editor stops trying.
import { describe, expect, it } from "vitest";
import { createRestartPolicy, HEALTHY_AFTER_MS, PAUSES_MS } from "../../extension/restartPolicy.ts";

describe("the restart policy", () => {
  it("doubles the pause, then gives up", () => {
    const policy = createRestartPolicy();
    const pauses = [0, 1, 2, 3, 4, 5].map((now) => policy.died(now));
    expect(pauses).toEqual([500, 1000, 2000, 4000, undefined, undefined]);
  });

  it("forgets deaths after a minute of health", () => {
    const policy = createRestartPolicy();
    policy.died(0);
    policy.started(500);
    expect(policy.died(500 + HEALTHY_AFTER_MS)).toBe(PAUSES_MS[0]);
  });

  it("remembers deaths of an engine that lived less", () => {
    const policy = createRestartPolicy();
    policy.died(0);
    policy.started(500);
    expect(policy.died(499 + HEALTHY_AFTER_MS)).toBe(PAUSES_MS[1]);
  });

  it("does not take the time since an earlier life for health", () => {
    const policy = createRestartPolicy();
    policy.started(0);
    policy.died(10);
    // The next start never reached the handshake.
    expect(policy.died(10 + 2 * HEALTHY_AFTER_MS)).toBe(PAUSES_MS[1]);
  });

  it("counts from zero when a person asks", () => {
    const policy = createRestartPolicy();
    for (let i = 0; i < 9; i += 1) policy.died(i);
    policy.forget();
    expect(policy.died(10)).toBe(PAUSES_MS[0]);
  });
});
