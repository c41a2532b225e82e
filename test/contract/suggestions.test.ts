// Several offers for one place from the real reader: distinct, ordered by its own measure, and cheap behind the kept prefix.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Completion } from "../../engine/completion/complete.ts";
import { type EngineFixture, openEngineFixture } from "./engineFixture.ts";

let fixture: EngineFixture;
beforeAll(async () => {
  fixture = await openEngineFixture();
});
afterAll(() => fixture.close());

const PLACES = 12;

/** Ends of lines of a real file cut behind an operator or a bracket, as a person stands there. */
async function places(): Promise<{ text: string; offset: number }[]> {
  const whole = await readFile(join(fixture.files.dir, "shop/orders.py"), "utf8");
  const found = [...whole.matchAll(/(?:= |\(|return |\.)(?=[a-z_]+)/g)].map((match) => match.index + match[0].length);
  return found.slice(3, 3 + PLACES).map((offset) => {
    const lineEnd = whole.indexOf("\n", offset);
    return { text: whole.slice(0, offset) + whole.slice(lineEnd), offset };
  });
}

function ask(
  place: { text: string; offset: number },
  suggestions: number,
  path = "shop/orders.py",
): Promise<Completion> {
  return fixture.workspace.complete({ path, ...place }, { mode: "full", maxLines: 1, suggestions });
}

describe("several offers", () => {
  it("are distinct, at most as many as asked for, the likeliest first", async () => {
    let several = 0;
    for (const place of await places()) {
      const completion = await ask(place, 3);
      const { others = [], text } = completion;
      if (completion.reason !== undefined) {
        expect(others).toEqual([]);
        continue;
      }
      const texts = [text, ...others.map((other) => other.text)];
      expect(new Set(texts.map((each) => each.trim())).size).toBe(texts.length);
      expect(texts.length).toBeLessThanOrEqual(3);
      for (const each of texts) expect(each.trim()).not.toBe("");
      const scores = [
        Number(completion.trace.facts["mean log-probability"]),
        ...others.map(({ meanLogProb }) => Number(meanLogProb.toFixed(2))),
      ];
      expect(scores).toEqual([...scores].sort((a, b) => b - a));
      for (const score of scores) expect(score).toBeLessThanOrEqual(0);
      if (others.length > 0) several += 1;
    }
    // Not everywhere has the reader a second thought that filters let through, but mostly.
    expect(several).toBeGreaterThan(PLACES / 2);
  });

  it("hold what one offer would be", async () => {
    for (const place of await places()) {
      // Another path, of which memory holds nothing.
      const one = await ask(place, 1, "shop/orders_too.py");
      const several = await ask(place, 3, "shop/orders_too.py");
      // A place behind another on its line may be answered from that one.
      if (one.reason !== undefined || one.reused !== undefined) continue;
      expect([several.text, ...(several.others ?? []).map(({ text }) => text)]).toContain(one.text);
    }
  });

  it("are not computed again for the same place, as an editor asks at every look at the next one", async () => {
    let computed = 0;
    for (const place of await places()) {
      const first = await ask(place, 3, "shop/again.py");
      if (first.reason !== undefined || first.reused !== undefined) continue;
      computed += 1;
      const again = await ask(place, 3, "shop/again.py");
      expect(again.reused).toMatchObject({ typed: 0 });
      expect(again.timings.tokens).toBe(0);
      expect([again.text, again.others]).toEqual([first.text, first.others]);
    }
    expect(computed).toBeGreaterThan(0);
  });

  it("all go on from memory when one of them is typed along", async () => {
    let followed = 0;
    for (const place of await places()) {
      const { others = [] } = await ask(place, 3);
      for (const { text } of others) {
        if (text.length < 2) continue;
        const first = text.slice(0, Math.floor(text.length / 2));
        const typed = place.text.slice(0, place.offset) + first + place.text.slice(place.offset);
        const along = await ask({ text: typed, offset: place.offset + first.length }, 1);
        expect(along.reused?.account.promptTokens).toBeGreaterThan(0);
        expect(along.timings.tokens).toBe(0);
        expect(along.text.length).toBeGreaterThan(0);
        followed += 1;
      }
    }
    expect(followed).toBeGreaterThan(0);
  });
});
