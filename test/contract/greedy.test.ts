// What the bundled reader writes does not hang on how it was read: at once, in slices, behind a kept prefix, or with drafts.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ReaderInput } from "../../engine/domain.ts";
import { choose } from "../../engine/infer/choice.ts";
import type { Copying } from "../../engine/infer/copying.ts";
import { openDecoder } from "../../engine/infer/decoder.ts";
import type { Generation } from "../../engine/infer/models.ts";
import { openReader, type Reader } from "../../engine/infer/reader.ts";
import { openRuntime } from "../../engine/infer/runtime.ts";
import { openSession } from "../../engine/infer/session.ts";
import { loadTokenizer, type Tokenizer } from "../../engine/infer/tokenizer.ts";
import { inputRows } from "../../engine/infer/tokenRows.ts";
import { installationOf } from "../../engine/installation.ts";
import { findPack, openPack, type Pack } from "../../engine/pack/pack.ts";
import { trackedFiles } from "../unit/trackedFiles.ts";

const { packsDir } = installationOf(new URL("../../engine/cli.ts", import.meta.url).href);
const PROMPTS = 24;
const TOKENS = 24;
const CONTEXT = 400;
const NOTHING = new Float32Array(0);

let pack: Pack;
let tokenizer: Tokenizer;
/** Reads everything afresh, and keeps what it can. */
let cold: Reader;
let warm: Reader;
beforeAll(async () => {
  pack = await openPack(await findPack("auto", packsDir));
  tokenizer = await loadTokenizer(join(pack.dir, pack.manifest.tokenizer.file));
  const { runtime } = await openRuntime(["cpu"], 1);
  cold = (await openReader(pack, runtime)).reader;
  warm = (await openReader(pack, runtime)).reader;
});
afterAll(async () => {
  await cold?.close();
  await warm?.close();
});

function generate(reader: Reader, input: ReaderInput, copying?: Copying, drafts = false): Promise<Generation> {
  const { vocabSize } = pack.manifest.reader;
  const vocabulary = { lineBreaks: new Uint8Array(vocabSize), isBlank: new Uint8Array(vocabSize) };
  const options = {
    maxNewTokens: TOKENS,
    stopTokens: [],
    maxLines: Number.POSITIVE_INFINITY,
    ...(copying === undefined ? {} : { copying }),
    drafts,
  };
  return reader.generate(input, options, vocabulary, () => false);
}

/** Starts of real Python files, some with the file's end before them, as the pack's order has it. */
async function prompts(): Promise<Int32Array[]> {
  const files = trackedFiles(/^(training|samples)\/.*\.py$/);
  const found: Int32Array[] = [];
  for (let n = 0; found.length < PROMPTS; n += 1) {
    const ids = tokenizer.encode(await readFile(files[n % files.length] ?? "", "utf8"));
    const cut = Math.floor(ids.length * ((0.37 + 0.19 * n) % 1));
    if (cut > 20) found.push(Int32Array.from(ids.slice(Math.max(0, cut - CONTEXT), cut)));
  }
  return found;
}

it("is the same read at once and in slices", async () => {
  const { runtime } = await openRuntime(["cpu"], 1);
  const { embed, reader } = pack.manifest;
  const files = { embed: join(pack.dir, embed.file), reader: join(pack.dir, reader.file) };
  const { session: embedding } = await openSession(files.embed, { ...runtime, inputs: [], outputs: [] });
  const { decoder } = await openDecoder(files.reader, reader, runtime);
  const { readerDim, vocabSize } = reader;
  for (const tokens of (await prompts()).slice(0, 6)) {
    const input = { pseudoTokens: NOTHING, tokens };
    const rows = await inputRows(embedding, input, 0, readerDim);
    const choices = [];
    for (const slice of [tokens.length, 64, 32, 5]) {
      decoder.forget();
      decoder.rewindTo(input);
      let logits = new Float32Array(0);
      for (let from = 0; from < tokens.length; ) {
        const until = from + slice >= tokens.length - 1 ? tokens.length : from + slice;
        const ids = Array.from(tokens.subarray(from, until));
        logits = Float32Array.from(await decoder.read(rows.subarray(from * readerDim, until * readerDim), ids, 1));
        from = until;
      }
      choices.push(choose(logits, 0, vocabSize));
    }
    const [whole, ...sliced] = choices;
    for (const choice of sliced) {
      expect(choice.token).toBe(whole?.token);
      expect(choice.logProb).toBeCloseTo(whole?.logProb ?? Number.NaN, 2);
    }
  }
  await embedding.close();
  await decoder.close();
});

it("is the same cold, behind a kept prefix, and with drafts", async () => {
  let accepted = 0;
  for (const tokens of await prompts()) {
    const input = { pseudoTokens: NOTHING, tokens };
    const whole = await generate(cold, input);
    expect(whole.reusedTokens).toBeLessThan(tokens.length / 2);
    for (const share of [0.5, 0.9])
      await generate(warm, { ...input, tokens: tokens.subarray(0, Math.floor(tokens.length * share)) });
    const typed = await generate(warm, input);
    expect(typed.reusedTokens).toBeGreaterThan(tokens.length * 0.85);
    expect(typed.tokens).toEqual(whole.tokens);
    const others = [tokens.slice(50), Int32Array.from(whole.tokens.slice(3))];
    const drafted = await generate(warm, input, { before: tokens, others, weights: [] }, true);
    expect(drafted.tokens).toEqual(whole.tokens);
    expect(drafted.runs).toBeLessThanOrEqual(TOKENS + drafted.drafted);
    accepted += drafted.accepted;
    drafted.logProbs.forEach((logProb, n) => {
      expect(logProb).toBeCloseTo(whole.logProbs[n] ?? Number.NaN, 1);
    });
  }
  expect(accepted).toBeGreaterThan(PROMPTS);
});

it("is the same with and without drafts where tokens are copied", async () => {
  const weights = pack.manifest.copying?.weights ?? [0.1, 0.2, 0.4, 0.6];
  let accepted = 0;
  let other = 0;
  for (const tokens of await prompts()) {
    const input = { pseudoTokens: NOTHING, tokens };
    // A text that goes on as the prompt's end does, but otherwise behind it.
    const others = [Int32Array.from([...tokens.slice(-30), ...tokens.slice(0, 60)])];
    const plain = await generate(cold, input, { before: tokens, others, weights });
    const drafted = await generate(warm, input, { before: tokens, others, weights }, true);
    expect(drafted.tokens).toEqual(plain.tokens);
    accepted += drafted.accepted;
    if (plain.tokens[0] === others[0]?.[30]) other += 1;
  }
  expect(accepted).toBeGreaterThan(PROMPTS);
  expect(other).toBeGreaterThan(PROMPTS / 2);
});
