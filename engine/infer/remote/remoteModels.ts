// The models where the reader runs on a server: encoder, fuser, projector and the table of embeddings stay in the worker.
import type { InferenceModels, LocalModels } from "../inferThread.ts";
import type { RemoteReader } from "./remoteReader.ts";

/** A request to the server waits for no turn: this machine goes on with its own work meanwhile. */
export function withRemoteReader(local: LocalModels, reader: RemoteReader): InferenceModels {
  return {
    encode: (texts, priority, signal) => local.encode(texts, priority, signal),
    fuse: (groups, signal) => local.fuse(groups, signal),
    project: (vectors, signal) => local.project(vectors, signal),
    generate: (input, options, signal) => reader.generate(input, options, signal),
    close: () => local.close(),
    get isLoaded() {
      return local.isLoaded;
    },
    get provider() {
      return local.provider;
    },
    unloadAfter: (ms) => local.unloadAfter(ms),
    unload: () => local.unload(),
    useProviders: (names) => local.useProviders(names),
  };
}
