// Worker thread entry: holds the pack's sessions, answers one request after another. Cancelled through a shared flag,
// because a run blocks this thread and cannot be interrupted; never terminated in the middle of a run.
import { join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { EngineError, messageOf, type Problem } from "../errors.ts";
import { openAddOn, withAddOn } from "../pack/addOn.ts";
import { encoderTokenizerPath, openPack } from "../pack/pack.ts";
import { openEncoder } from "./encoder.ts";
import { openFuser } from "./fuser.ts";
import type { WorkerReply, WorkerRequest, WorkerStart } from "./inferMessages.ts";
import { openProjector } from "./projector.ts";
import { absentReader, openReader } from "./reader.ts";
import { openRuntime } from "./runtime.ts";
import type { Vocabulary } from "./stopRule.ts";
import { loadTokenizer, type Tokenizer } from "./tokenizer.ts";

if (parentPort === null) throw new Error("inferWorker runs in a worker thread only");
const port = parentPort;

/** Opens every model, then serves requests in the order they come. */
async function serve(data: WorkerStart): Promise<void> {
  const own = await openPack(data.packDir);
  const pack = data.addOnDir === undefined ? own : withAddOn(own, await openAddOn(data.addOnDir));
  const tokenizer = await loadTokenizer(join(pack.dir, pack.manifest.tokenizer.file));
  const { runtime, problems } = await openRuntime(data.providers, data.threads);
  const isSame = pack.manifest.encoder.tokenizer === undefined;
  const ofEncoderText = isSame ? tokenizer : await loadTokenizer(encoderTokenizerPath(pack));
  const { encoder, problems: ofEncoder } = await openEncoder(pack, ofEncoderText, runtime);
  const { fuser, problems: ofFuser } = await openFuser(pack, runtime);
  const { projector, problems: ofProjector } = await openProjector(pack, runtime);
  const { reader, problems: ofReader } =
    data.isReaderRemote === true ? absentReader(pack, runtime) : await openReader(pack, runtime, data.keeps);
  const vocabulary = vocabularyOf(tokenizer, pack.manifest.reader.vocabSize);

  const answer = async (request: WorkerRequest): Promise<NonNullable<WorkerReply["result"]>> => {
    const isCancelled = () => Atomics.load(request.cancelled, 0) === 1;
    switch (request.kind) {
      case "encode":
        return isCancelled() ? [] : encoder.encode(request.texts, request.kindOfText);
      case "fuse":
        return isCancelled() ? [] : fuser.fuse(request.groups);
      case "project":
        return isCancelled() ? [] : projector.project(request.vectors);
      case "generate":
        return reader.generate(request.input, request.options, vocabulary, isCancelled);
      case "rows":
        return isCancelled() ? [] : [await reader.rows(request.input)];
      case "close":
        await Promise.all([encoder.close(), fuser.close(), projector.close(), reader.close()]);
        return [];
    }
  };

  let turn: Promise<void> = Promise.resolve();
  port.on("message", (request: WorkerRequest) => {
    turn = turn.then(async () => {
      try {
        port.postMessage({ id: request.id, result: await answer(request) } satisfies WorkerReply);
      } catch (error) {
        port.postMessage({ id: request.id, error: describe(error) } satisfies WorkerReply);
      }
      if (request.kind === "close") port.close();
    });
  });
  const all: Problem[] = [...problems, ...ofEncoder, ...ofFuser, ...ofProjector, ...ofReader];
  port.postMessage({ id: 0, result: { problems: all, provider: reader.provider } } satisfies WorkerReply);
}

function vocabularyOf(tokenizer: Tokenizer, size: number): Vocabulary {
  const lineBreaks = new Uint8Array(size);
  const isBlank = new Uint8Array(size);
  for (let id = 0; id < size; id += 1) {
    const text = tokenizer.decode([id]);
    lineBreaks[id] = Math.min(255, text.split("\n").length - 1);
    isBlank[id] = text.trim() === "" ? 1 : 0;
  }
  return { lineBreaks, isBlank };
}

function describe(error: unknown): NonNullable<WorkerReply["error"]> {
  if (error instanceof EngineError) return { code: error.code, detail: error.message.slice(error.code.length + 2) };
  return { code: "WORKER_FAILED", detail: error instanceof Error ? (error.stack ?? error.message) : messageOf(error) };
}

serve(workerData as WorkerStart).catch((error: unknown) => {
  port.postMessage({ id: 0, error: describe(error) } satisfies WorkerReply);
  port.close();
});
