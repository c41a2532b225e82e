// Reader: pseudo-tokens and tokens -> new tokens, greedily; what was read before is not read again.
import { join } from "node:path";
import type { ReaderInput } from "../domain.ts";
import { EngineError, type Problem } from "../errors.ts";
import type { PackManifest } from "../pack/pack.ts";
import { type Choice, choose } from "./choice.ts";
import { type Copied, copiedAfter } from "./copying.ts";
import { type Decoder, openDecoder } from "./decoder.ts";
import { DraftGain, draftFor } from "./drafts.ts";
import type { Predictions } from "./kernels.ts";
import type { GenerateOptions, Generation } from "./models.ts";
import type { Runtime } from "./runtime.ts";
import { openSession } from "./session.ts";
import { SliceSize } from "./sliceSize.ts";
import { StopRule, type Vocabulary } from "./stopRule.ts";
import { openStoredRows } from "./storedRows.ts";
import { inputRows, tokenRows } from "./tokenRows.ts";

/**
 * A drafted choice with a smaller lead is made again without the draft: on some processors kernels round otherwise with more
 * rows (3e-3 was measured), and a draft must not change what is written. Kernels of our own need no such lead.
 */
const SURE_LEAD = 0.02;

export interface Reader {
  /** Name of the execution provider its decoder runs on. */
  readonly provider: string;
  generate(
    input: ReaderInput,
    options: GenerateOptions,
    vocabulary: Vocabulary,
    isCancelled: () => boolean,
  ): Promise<Generation>;
  /** The input as rows `[positions, readerDim]`. */
  rows(input: ReaderInput): Promise<Float32Array>;
  close(): Promise<void>;
}

/** The part of a pack that holds its reader. */
export interface ReaderFiles {
  readonly dir: string;
  readonly manifest: Pick<PackManifest, "embed" | "reader">;
}

/** `keeps` false: every input is read afresh, to measure what keeping gives. */
export async function openReader(
  pack: ReaderFiles,
  runtime: Runtime,
  keeps = true,
): Promise<{ reader: Reader; problems: Problem[] }> {
  const { reader: shape } = pack.manifest;
  const { session: embedding, problems } = await openEmbedding(pack, runtime);
  const { decoder, problems: more } = await openDecoder(join(pack.dir, shape.file), shape, runtime);
  const stored = decoder.hasKernels ? await openStoredRows(join(pack.dir, pack.manifest.embed.file)) : undefined;
  const sliceSize = new SliceSize(shape);
  const draftGain = new DraftGain();
  const { vocabSize, readerDim } = shape;

  /** Reads what of `input` has not been read; undefined when cancelled. */
  async function prefill(
    input: ReaderInput,
    reused: number,
    copied: Copied | undefined,
    isCancelled: () => boolean,
  ): Promise<Choice | undefined> {
    const rows = await inputRows(embedding, input, reused, readerDim);
    const firstToken = input.pseudoTokens.length / readerDim;
    const count = rows.length / readerDim;
    let logits: Float32Array | undefined;
    for (let from = 0; from < count; ) {
      if (isCancelled()) return undefined;
      const until = from + sliceSize.of(count - from);
      const ids = input.tokens.subarray(
        Math.max(0, reused + from - firstToken),
        Math.max(0, reused + until - firstToken),
      );
      const started = performance.now();
      logits = await decoder.read(rows.subarray(from * readerDim, until * readerDim), Array.from(ids), 1);
      sliceSize.took(until - from, performance.now() - started);
      from = until;
    }
    return logits === undefined ? undefined : choose(logits, 0, vocabSize, copied);
  }

  /** Choices behind `tokens`; without kernels they are read in one run together with `previous`, the token read last. */
  const read: DecodeDeps["read"] = async (previous, tokens, copied) => {
    const chosen = ({ logits, likeliest }: Predictions) =>
      tokens.map((_, row) => choose(logits, row, vocabSize, copied[row], likeliest[row]));
    if (decoder.hasKernels) {
      const rows = stored?.rows(tokens) ?? (await tokenRows(embedding, tokens));
      return chosen(await decoder.readTokens(rows, tokens));
    }
    // One row alone takes other kernels, which are no faster and round otherwise: what is written would hang on drafts and on
    // what was kept. Two rows and more give the same numbers, however they are cut.
    decoder.truncate(decoder.length - 1);
    const both = [previous, ...tokens];
    const logits = await decoder.read(await tokenRows(embedding, both), both, tokens.length);
    return chosen({ logits, likeliest: [] });
  };

  const generate: Reader["generate"] = async (input, options, vocabulary, isCancelled) => {
    const started = performance.now();
    if (!keeps) decoder.forget();
    const reusedTokens = decoder.rewindTo(input);
    const copied = options.copying && copiedAfter(options.copying, []);
    const first = await prefill(input, reusedTokens, copied, isCancelled);
    const prefillMs = performance.now() - started;
    const rule = new StopRule(options, vocabulary);
    const decoded = await decode(first, { decoder, read, draftGain }, input, options, rule, isCancelled);
    return { ...decoded, prefillMs, ttftMs: prefillMs, totalMs: performance.now() - started, reusedTokens };
  };
  return {
    reader: {
      provider: decoder.provider,
      generate,
      rows: (input) => inputRows(embedding, input, 0, readerDim),
      close: async () => {
        stored?.close();
        await embedding.close();
        await decoder.close();
      },
    },
    problems: [...problems, ...more],
  };
}

function openEmbedding({ dir, manifest }: ReaderFiles, runtime: Runtime) {
  return openSession(join(dir, manifest.embed.file), {
    ...runtime,
    // A look-up in a table: the way to a device and back would take longer.
    providers: runtime.providers.slice(-1),
    inputs: [{ name: "input_ids", type: "int64", dims: [1, "T"] }],
    outputs: [{ name: "inputs_embeds", type: "float32", dims: [1, "T", manifest.reader.readerDim] }],
  });
}

/** Of a reader that runs on a server: its table of embeddings alone, opened by the first who asks for rows. */
export function absentReader(pack: ReaderFiles, runtime: Runtime): { reader: Reader; problems: Problem[] } {
  let opening: ReturnType<typeof openEmbedding> | undefined;
  const reader: Reader = {
    provider: "cpu",
    generate: () => Promise.reject(new EngineError("WORKER_FAILED", "the reader runs on a server")),
    rows: async (input) => {
      opening ??= openEmbedding(pack, runtime);
      return inputRows((await opening).session, input, 0, pack.manifest.reader.readerDim);
    },
    close: async () => (await opening)?.session.close(),
  };
  return { reader, problems: [] };
}

type Decoded = Pick<
  Generation,
  "tokens" | "logProbs" | "margins" | "runnersUp" | "end" | "runs" | "drafted" | "accepted"
>;

interface DecodeDeps {
  readonly decoder: Decoder;
  readonly read: (
    previous: number,
    tokens: readonly number[],
    copied: readonly (Copied | undefined)[],
  ) => Promise<Choice[]>;
  readonly draftGain: DraftGain;
}

/** Token after token from `first` on; several at once where a draft says what may come. */
async function decode(
  first: Choice | undefined,
  { decoder, read, draftGain }: DecodeDeps,
  input: ReaderInput,
  options: GenerateOptions,
  rule: StopRule,
  isCancelled: () => boolean,
): Promise<Decoded> {
  const { copying } = options;
  const sources = copying === undefined ? [] : [copying.before, ...copying.others];
  const chosen: Choice[] = [];
  const written = Array.from(input.tokens);
  const counts = { runs: 0, drafted: 0, accepted: 0 };
  const copiedBehind = (draft: readonly number[]) =>
    copying && copiedAfter(copying, [...written.slice(input.tokens.length), ...draft]);
  const ended = (end: Generation["end"]): Decoded => ({
    tokens: chosen.map((choice) => choice.token),
    logProbs: chosen.map((choice) => choice.logProb),
    margins: chosen.map((choice) => choice.margin),
    runnersUp: chosen.map((choice) => choice.runnerUp),
    end,
    ...counts,
  });
  /** Takes a choice; answers the end it brings. */
  const take = (choice: Choice): Generation["end"] | undefined => {
    if (rule.endsBefore(choice.token)) return "stop-token";
    chosen.push(choice);
    written.push(choice.token);
    return rule.endAfter(choice.token);
  };

  if (first === undefined || isCancelled()) return ended("cancelled");
  let end = options.maxNewTokens === 0 ? "max-tokens" : take(first);
  let isSure = true;
  while (end === undefined) {
    if (isCancelled()) return ended("cancelled");
    const [previous, last] = written.slice(-2) as [number, number];
    const room = options.maxNewTokens - chosen.length - 1;
    const draft =
      isSure && options.drafts !== false && draftGain.pays
        ? draftFor(written, sources).slice(0, Math.max(0, room))
        : [];
    const before = decoder.length;
    const had = chosen.length;
    const started = performance.now();
    const copied = [last, ...draft].map((_, n) => copiedBehind(draft.slice(0, n)));
    const choices = await read(previous, [last, ...draft], copied);
    const ms = performance.now() - started;
    counts.runs += 1;
    counts.drafted += draft.length;
    isSure = true;
    for (const [n, choice] of choices.entries()) {
      if (draft.length > 0 && !decoder.hasKernels && choice.margin < SURE_LEAD) {
        isSure = false;
        // What the run read from here on is forgotten, and read again without a draft.
        decoder.truncate(before + n);
        break;
      }
      end = take(choice);
      if (end !== undefined || choice.token !== draft[n]) {
        decoder.truncate(before + n + 1);
        break;
      }
      counts.accepted += 1;
    }
    draftGain.took(draft.length > 0, chosen.length - had, ms);
  }
  return ended(end);
}
