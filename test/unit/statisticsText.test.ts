import { expect, test } from "vitest";
import { NO_COUNTS, type Statistics } from "../../engine/protocol.ts";
import { FORGET_LINK, statisticsText } from "../../extension/statisticsText.ts";

const python = { ...NO_COUNTS, shown: 40, accepted: 10, acceptedPart: 2, typed: 4, rejected: 24, survived: 9, lost: 1 };
const rust = { ...NO_COUNTS, shown: 10, accepted: 5, rejected: 5, characters: 1234 };
const statistics: Statistics = {
  total: { ...python, shown: 50, accepted: 15, rejected: 29, characters: 1234 },
  days: [
    { day: "2026-11-20", language: "python", ...python },
    { day: "2026-11-21", language: "rust", ...rust },
    { day: "2026-11-21", language: "python", ...NO_COUNTS },
  ],
  gate: { answers: 1 },
};

test("counts with their shares, days newest first, languages by use", () => {
  const text = statisticsText(statistics, true);
  expect(text).toContain("| Shown | 50 |  |");
  expect(text).toContain("| Accepted | 15 | 30 % |");
  expect(text).toContain("| Still there 30 s after, of 10 judged so far | 9 | 90 % |");
  expect(text).toContain("1,234 characters were taken");
  expect(text).toContain("| 2026‑11‑20 | 40 | 12 | 4 | 24 | 9 of 10 |");
  expect(text.indexOf("2026‑11‑21")).toBeLessThan(text.indexOf("2026‑11‑20"));
  expect(text).toContain("| rust | 10 | 5 | 0 | 5 | – |");
  expect(text.indexOf("| python |")).toBeLessThan(text.indexOf("| rust |"));
});

test("says who sees it, what is learned from it, and how to forget it", () => {
  expect(statisticsText(statistics, true)).toContain("learned from one answer of yours");
  expect(statisticsText(statistics, false)).toContain("`precis.completion.learn` is off");
  expect(statisticsText({ ...statistics, gate: null }, true)).toContain("the model pack has no gate");
  for (const text of [statisticsText(statistics, true), statisticsText({ ...statistics, total: NO_COUNTS }, true)]) {
    expect(text).toContain("sends nothing to anyone");
    expect(text).toContain(`[Forget all of it](${FORGET_LINK})`);
  }
  expect(statisticsText({ ...statistics, total: NO_COUNTS, days: [] }, true)).toContain(
    "No completion has been on the screen",
  );
});
