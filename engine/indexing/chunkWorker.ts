// Thread entry: file texts in, chunks out, so that parsing never holds up the protocol's thread. One file at a time, in
// the order of arrival. A parser that dies takes this thread with it; `chunker.ts` starts another.
import { parentPort, workerData } from "node:worker_threads";
import type { Chunk } from "../domain.ts";
import { messageOf, type Problem } from "../errors.ts";
import { loadTokenizer } from "../infer/tokenizer.ts";
import { type Language, type LanguagePaths, loadLanguages } from "../languages/languages.ts";
import { chunk } from "./chunk.ts";
import { chunkNotebook } from "./chunkNotebook.ts";
import { isNotebook } from "./notebook.ts";
import { loadTokenCounter } from "./tokenCounter.ts";

export interface ChunkWorkerOptions {
  readonly tokenizerFile: string;
  readonly maxTokens: number;
  readonly languages: LanguagePaths | undefined;
  readonly isLinearised: boolean;
}

export interface ChunkRequest {
  readonly id: number;
  readonly path: string;
  readonly text: string;
  /** False once parsing this file has killed a worker. */
  readonly isParsed: boolean;
}

export type ChunkReply =
  | { readonly kind: "ready"; readonly extensions: readonly string[] }
  | { readonly kind: "failed"; readonly detail: string }
  | {
      readonly kind: "chunks";
      readonly id: number;
      readonly chunks: Chunk[];
      readonly problems: Problem[];
      readonly ms: number;
    };

async function serve(data: ChunkWorkerOptions, reply: (message: ChunkReply) => void): Promise<void> {
  try {
    const tokenizer = await loadTokenizer(data.tokenizerFile);
    const languages = await loadLanguages(data.languages);
    const countTokens = await loadTokenCounter(data.tokenizerFile, tokenizer);
    parentPort?.on("message", ({ id, path, text, isParsed }: ChunkRequest) => {
      const startedAt = performance.now();
      const watch = new ParserWatch(isParsed);
      const named = (name: string) => watch.over(languages.all.find((language) => language.name === name));
      const { chunks, problems } = isNotebook(path)
        ? chunkNotebook(text, named, countTokens, data.maxTokens, data.isLinearised)
        : chunk(text, watch.over(languages.forPath(path)), countTokens, data.maxTokens, data.isLinearised);
      // The parser's memory can no longer be trusted: this thread ends, and another takes the file without parsing.
      const { trap } = watch;
      if (trap !== undefined) throw trap;
      const ms = performance.now() - startedAt;
      reply({ kind: "chunks", id, chunks, problems: problems.map((problem) => ({ ...problem, path })), ms });
    });
    reply({ kind: "ready", extensions: [...languages.all.flatMap((language) => language.extensions), ".ipynb"] });
  } catch (error) {
    reply({ kind: "failed", detail: messageOf(error) });
  }
}

/** Tells afterwards whether a parser broke down inside its own code. */
class ParserWatch {
  readonly #isParsed: boolean;
  trap: Error | undefined;

  constructor(isParsed: boolean) {
    this.#isParsed = isParsed;
  }

  over(language: Language | undefined): Language | undefined {
    if (language === undefined || !this.#isParsed) return undefined;
    const parse = (text: string) => {
      try {
        return language.parse(text);
      } catch (error) {
        // WebAssembly's name for it: memory out of bounds, stack overflow, unreachable code.
        if (error instanceof Error && error.name === "RuntimeError") this.trap = error;
        throw error;
      }
    };
    return { ...language, parse };
  }
}

const port = parentPort;
if (port !== null) void serve(workerData as ChunkWorkerOptions, (message) => port.postMessage(message));
