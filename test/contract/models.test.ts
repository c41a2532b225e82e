// The four models of the bundled pack behind their worker: shapes, determinism, reuse, cancellation, order of work.
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startInferThread } from "../../engine/infer/inferThread.ts";
import type { Models } from "../../engine/infer/models.ts";
import { loadTokenizer, type Tokenizer } from "../../engine/infer/tokenizer.ts";
import { installationOf } from "../../engine/installation.ts";
import { findPack, openPack, type Pack, pseudoLengthOf } from "../../engine/pack/pack.ts";
import { Schedule } from "../../engine/schedule.ts";

const { packsDir, workers } = installationOf(new URL("../../engine/cli.ts", import.meta.url).href);

let pack: Pack;
let tokenizer: Tokenizer;
let models: Models;
beforeAll(async () => {
  pack = await openPack(await findPack("auto", packsDir));
  tokenizer = await loadTokenizer(join(pack.dir, pack.manifest.tokenizer.file));
  const data = { packDir: pack.dir, providers: ["cpu"], threads: 1 };
  models = (await startInferThread({ workerUrl: workers.inference, data, schedule: new Schedule() })).models;
});
afterAll(() => models?.close());

const NOTHING = new Float32Array(0);
const lengthOf = (vector: Float32Array) => Math.hypot(...vector);

function inputOf(text: string, pseudoTokens = NOTHING) {
  return { pseudoTokens, tokens: Int32Array.from(tokenizer.encode(text)) };
}

/** No stop token: generation runs to its budget. */
const UNSTOPPED = { stopTokens: [], maxLines: Number.POSITIVE_INFINITY };

describe("encoder, fuser, projector", () => {
  it("give unit vectors, the same alone and in a batch of unlike lengths", async () => {
    const texts = ["def area(w, h):\n    return w * h", "x", "", "class Box:\n".repeat(400)];
    const together = await models.encode(texts, "indexing");
    expect(together.map((vector) => vector.length)).toEqual(texts.map(() => pack.manifest.encoder.vectorDim));
    for (const [n, text] of texts.entries()) {
      const [alone] = await models.encode([text], "indexing");
      const both = together[n];
      if (alone === undefined || both === undefined) throw new Error("a vector is missing");
      expect(lengthOf(both)).toBeCloseTo(1, 3);
      expect(alone.reduce((sum, value, i) => sum + value * (both[i] ?? 0), 0)).toBeGreaterThan(0.995);
    }
    const fused = await models.fuse([together, together.slice(0, 1)]);
    for (const vector of fused) expect(lengthOf(vector)).toBeCloseTo(1, 3);
    expect(fused[0]).not.toEqual(fused[1]);
    const length = pseudoLengthOf(pack.manifest);
    expect(length).toBeGreaterThan(0);
    for (const rows of await models.project(together)) expect(rows).toHaveLength(length);
  });

  it("take nothing for nothing and refuse a group the fuser cannot hold", async () => {
    expect(await models.encode([], "indexing")).toEqual([]);
    const [vector] = await models.encode(["x"], "indexing");
    if (vector === undefined) throw new Error("a vector is missing");
    const tooMany = Array.from({ length: pack.manifest.fuser.branching + 1 }, () => vector);
    await expect(models.fuse([tooMany])).rejects.toThrow(/children/);
    expect(await models.fuse([[vector]])).toHaveLength(1);
  });
});

describe("reader", () => {
  const TEXT = "import os\n\ndef read(path):\n    with open(path) as file:\n        return ";

  it("says the same with a cold cache, a warm one, and one that holds something else", async () => {
    const options = { ...UNSTOPPED, maxNewTokens: 12 };
    const cold = await models.generate(inputOf(TEXT), options);
    const warm = await models.generate(inputOf(TEXT), options);
    await models.generate(inputOf("class Unrelated:\n    pass\n".repeat(20)), options);
    const again = await models.generate(inputOf(TEXT), options);
    expect(cold.reusedTokens).toBe(0);
    expect(warm.reusedTokens).toBe(inputOf(TEXT).tokens.length - 2);
    expect(warm.tokens).toEqual(cold.tokens);
    expect(again.tokens).toEqual(cold.tokens);
    expect(cold).toMatchObject({ end: "max-tokens", tokens: { length: 12 } });
  });

  it("goes on from a typed prefix as if it had read it at once", async () => {
    const options = { ...UNSTOPPED, maxNewTokens: 8 };
    const longer = `${TEXT}file.`;
    await models.generate(inputOf(TEXT), options);
    const grown = await models.generate(inputOf(longer), options);
    expect(grown.reusedTokens).toBeGreaterThan(10);
    await models.generate(inputOf("x = 1\n"), options);
    expect(grown.tokens).toEqual((await models.generate(inputOf(longer), options)).tokens);
  });

  it("reads pseudo-tokens", async () => {
    const options = { ...UNSTOPPED, maxNewTokens: 1 };
    const [vector] = await models.encode(["def read(path):\n    return path.read_text()"], "indexing");
    if (vector === undefined) throw new Error("a vector is missing");
    const [rows] = await models.project([vector]);
    const plain = inputOf(TEXT);
    const seen = await models.generate({ ...plain, pseudoTokens: rows ?? NOTHING }, options);
    expect(seen.reusedTokens).toBe(0);
    const positions = plain.tokens.length + (pack.manifest.projector?.perNode ?? 0);
    expect((await models.generate({ ...plain, pseudoTokens: rows ?? NOTHING }, options)).reusedTokens).toBe(
      positions - 2,
    );
  });

  it("stops before a stop token and after a line", async () => {
    const free = await models.generate(inputOf(TEXT), { ...UNSTOPPED, maxNewTokens: 20 });
    const third = free.tokens[2];
    if (third === undefined) throw new Error("nothing was generated");
    const stopped = await models.generate(inputOf(TEXT), { ...UNSTOPPED, maxNewTokens: 20, stopTokens: [third] });
    expect(stopped.end).toBe("stop-token");
    expect(stopped.tokens).toEqual(free.tokens.slice(0, free.tokens.indexOf(third)));
    const lines = await models.generate(inputOf(TEXT), { ...UNSTOPPED, maxNewTokens: 200, maxLines: 1 });
    if (lines.end === "lines") expect(tokenizer.decode(lines.tokens).trim().split("\n")).toHaveLength(1);
  });

  it("stops within a token of the cancel, and keeps a cache that is right", async () => {
    const aborter = new AbortController();
    const long = { ...UNSTOPPED, maxNewTokens: 900 };
    const running = models.generate(inputOf(TEXT), long, aborter.signal);
    await new Promise((resolve) => setTimeout(resolve, 30));
    aborter.abort();
    const { end, tokens } = await running;
    expect(end).toBe("cancelled");
    expect(tokens.length).toBeLessThan(900);
    const after = await models.generate(inputOf(TEXT), { ...UNSTOPPED, maxNewTokens: 12 });
    await models.generate(inputOf("x = 1\n"), { ...UNSTOPPED, maxNewTokens: 1 });
    expect(after.tokens).toEqual((await models.generate(inputOf(TEXT), { ...UNSTOPPED, maxNewTokens: 12 })).tokens);
  });

  it("goes before indexing that waits", async () => {
    const order: string[] = [];
    const texts = Array.from({ length: 16 }, (_, n) => `value_${n} = ${n}\n`.repeat(20));
    const work = [1, 2, 3].map((n) => models.encode(texts, "indexing").then(() => order.push(`index ${n}`)));
    work.push(models.generate(inputOf(TEXT), { ...UNSTOPPED, maxNewTokens: 2 }).then(() => order.push("complete")));
    await Promise.all(work);
    expect(order).toEqual(["index 1", "complete", "index 2", "index 3"]);
  });
});

it("names a pack that is not there", async () => {
  const data = { packDir: fileURLToPath(new URL("./no-such-pack", import.meta.url)), providers: ["cpu"], threads: 1 };
  const starting = startInferThread({ workerUrl: workers.inference, data, schedule: new Schedule() });
  await expect(starting).rejects.toMatchObject({ code: "PACK_MISSING" });
});
