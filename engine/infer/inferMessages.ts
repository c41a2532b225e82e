// What crosses between the main thread and the inference worker.
import type { ReaderInput, Vector } from "../domain.ts";
import type { EngineErrorCode, Problem } from "../errors.ts";
import type { TextKind } from "./encoder.ts";
import type { GenerateOptions, Generation } from "./models.ts";

export interface WorkerStart {
  readonly packDir: string;
  /** Of the add-on that gives encoder, fuser and projector, if one does. */
  readonly addOnDir?: string;
  readonly providers: readonly string[];
  /** 0 leaves one core free. */
  readonly threads: number;
  /** False: every input is read afresh. */
  readonly keeps?: boolean;
  /** The reader runs on a server: only its table of embeddings is opened, when it is asked for. */
  readonly isReaderRemote?: boolean;
}

/** The worker's answer when every model is open. */
export interface WorkerStarted {
  readonly problems: readonly Problem[];
  /** Name of the execution provider the reader runs on. */
  readonly provider: string;
}

interface Numbered {
  readonly id: number;
  /** One shared int; 1 asks the worker to stop at its next cancel point. */
  readonly cancelled: Int32Array<SharedArrayBuffer>;
}

export type WorkerRequest = Numbered &
  (
    | { readonly kind: "encode"; readonly texts: readonly string[]; readonly kindOfText: TextKind }
    | { readonly kind: "fuse"; readonly groups: readonly (readonly Vector[])[] }
    | { readonly kind: "project"; readonly vectors: readonly Vector[] }
    | { readonly kind: "generate"; readonly input: ReaderInput; readonly options: GenerateOptions }
    | { readonly kind: "rows"; readonly input: ReaderInput }
    | { readonly kind: "close" }
  );

/** `id` 0 answers the start, or gives the error that ended it. */
export interface WorkerReply {
  readonly id: number;
  readonly result?: readonly Float32Array[] | Generation | WorkerStarted;
  readonly error?: { readonly code: EngineErrorCode; readonly detail: string };
}
