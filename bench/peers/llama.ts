// llama.cpp with the shape's Q4_0 weights, flash attention on and off, each in a process of its own.
import { type ChildProcess, fork } from "node:child_process";
import { access, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import envPaths from "env-paths";
import { EngineError } from "../../engine/errors.ts";
import type { Qwen2Shape } from "../../engine/pack/checkpoint.ts";
import { writeGguf } from "./gguf.ts";
import type { LlamaReply, LlamaRequest, LlamaStart } from "./llamaMessages.ts";
import type { OpenPeers, Peer } from "./peers.ts";

const SEED = 1;

export const openLlama: OpenPeers = async (shape, threads) => {
  const folder = peersFolder();
  await access(join(folder, "node_modules")).catch((error: unknown) => {
    throw new EngineError(
      "USAGE",
      "llama.cpp is not installed: run `npm install --prefix bench/peers`, which downloads it",
      {
        cause: error,
      },
    );
  });
  const model = await randomModel(shape);
  const { vocabSize, maxTokens } = shape;
  const peers: Peer[] = [];
  for (const flashAttention of [true, false])
    peers.push(await openPeer(folder, { model, threads, flashAttention, vocabSize, maxTokens }));
  return peers;
};

/** In the source tree, whether this runs from there or from the bundle beside it. */
function peersFolder(): string {
  const isSource = import.meta.url.endsWith(".ts");
  return fileURLToPath(new URL(isSource ? "." : "../bench/peers/", import.meta.url));
}

/** Written at the first call, into the user's cache folder. */
async function randomModel(shape: Qwen2Shape): Promise<string> {
  const { layers, readerDim, vocabSize } = shape;
  const dir = join(envPaths("precis", { suffix: "" }).cache, "bench");
  const file = join(dir, `v1-${layers}-${readerDim}-${vocabSize}-q4_0.gguf`);
  const exists = await access(file).then(
    () => true,
    () => false,
  );
  if (exists) return file;
  await mkdir(dir, { recursive: true });
  await writeGguf(file, shape, SEED);
  return file;
}

async function openPeer(folder: string, start: LlamaStart): Promise<Peer> {
  const child = fork(join(folder, "llamaProcess.ts"), [JSON.stringify(start)], {
    execArgv: [],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  let log = "";
  child.stderr?.on("data", (text: Buffer) => {
    log = (log + text.toString()).slice(-2000);
  });
  const ask = async (request?: LlamaRequest): Promise<number> => {
    const { ms, error } = await answerOf(child, request, () => log);
    if (ms === undefined) throw new EngineError("WORKER_FAILED", `llama.cpp: ${error}`);
    return ms;
  };
  await ask();
  return {
    name: `llama.cpp Q4_0, flash attention ${start.flashAttention ? "on" : "off"}`,
    prefill: (tokens) => ask({ kind: "prefill", tokens }),
    decode: (past, steps) => ask({ kind: "decode", past, steps }),
    close: async () => {
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.disconnect();
      await gone;
    },
  };
}

function answerOf(child: ChildProcess, request: LlamaRequest | undefined, log: () => string): Promise<LlamaReply> {
  return new Promise((resolve) => {
    const onMessage = (reply: LlamaReply) => {
      child.off("exit", onExit);
      resolve(reply);
    };
    const onExit = (code: number | null, signal: string | null) => {
      child.off("message", onMessage);
      resolve({ error: `its process ended with ${signal ?? code}: ${log()}` });
    };
    child.once("message", onMessage);
    child.once("exit", onExit);
    if (request !== undefined) child.send(request);
  });
}
