import { expect, it } from "vitest";
import { parseSettings, SETTINGS } from "../../engine/config.ts";

it("gives every default", () => {
  const { settings, problems } = parseSettings(undefined);
  expect(problems).toEqual([]);
  for (const [name, row] of Object.entries(SETTINGS)) expect(settings).toHaveProperty([name], row.default);
});

it("reads nested and dotted keys", () => {
  expect(parseSettings({ completion: { maxLines: 3 } }).settings["completion.maxLines"]).toBe(3);
  expect(parseSettings({ "completion.maxLines": 4 }).settings["completion.maxLines"]).toBe(4);
});

it.each([
  ["mode", "fastest"],
  ["enabled", "yes"],
  ["completion.maxLines", 0],
  ["completion.deadlineMs", 1.5],
  ["retrieval.retrievers", ["../../evil"]],
  ["execution.providers", []],
  ["index.exclude", [1]],
])("keeps the default of %s for %j and says so", (name, value) => {
  const { settings, problems } = parseSettings({ [name]: value });
  expect(settings).toEqual(parseSettings({}).settings);
  expect(problems).toHaveLength(1);
  expect(problems[0]).toMatchObject({ code: "SETTING_IGNORED", detail: expect.stringContaining(`precis.${name}`) });
});
