// How far a pass is, in words.
import { expect, it } from "vitest";
import { progressText, timeText } from "../../engine/progressText.ts";

it.each([
  [{ filesDone: 0, filesTotal: 300, filesPerSecond: 0, secondsLeft: undefined }, "0 of 300 files"],
  [{ filesDone: 3, filesTotal: 300, filesPerSecond: 4.44, secondsLeft: 66 }, "3 of 300 files, 4.4 files/s, 1 min left"],
  [{ filesDone: 9, filesTotal: 300, filesPerSecond: 44.4, secondsLeft: 6.55 }, "9 of 300 files, 44 files/s, 7 s left"],
  [{ filesDone: 300, filesTotal: 300, filesPerSecond: 44, secondsLeft: 0 }, "300 of 300 files, 44 files/s"],
])("%j: %s", (progress, text) => {
  expect(progressText(progress)).toBe(text);
});

it.each([
  [0.2, "1 s"],
  [59.4, "59 s"],
  [90, "2 min"],
  [3600, "60 min"],
  [7200, "2 h"],
])("%d seconds: %s", (seconds, text) => {
  expect(timeText(seconds)).toBe(text);
});
