// A repository of the Hugging Face Hub, or of a server that answers as it does: which files a checkpoint needs, how long they
// are, what they must hash to. One commit is listed and fetched, whatever is published meanwhile.
import { listFiles, modelInfo } from "@huggingface/hub";
import { EngineError, messageOf } from "../errors.ts";
import { type Connection, readText } from "./connection.ts";
import type { RemoteFile } from "./download.ts";
import { insist, type Waiting } from "./patience.ts";

export interface Repository {
  /** `owner/name`. */
  readonly id: string;
  /** Forty hexadecimal digits. */
  readonly commit: string;
  readonly files: readonly RemoteFile[];
}

/** Files beside the weights that are read or kept, where the repository has them. */
const WANTED = [
  "config.json",
  "generation_config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "model.safetensors.index.json",
  "README.md",
  "LICENSE",
];
const NEEDED = ["config.json", "tokenizer.json"];
const WEIGHTS = /^model(?:-\d+-of-\d+)?\.safetensors$/;

export function isRepositoryId(source: string): boolean {
  return /^[A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*$/.test(source) && !source.includes("..");
}

/**
 * The files of a checkpoint in safetensors. Throws the `HUB_…` errors, and `CHECKPOINT_UNSUPPORTED` for a repository without
 * one. Rejects with the signal's reason when aborted.
 */
export async function listCheckpoint(id: string, connection: Connection, waiting: Waiting): Promise<Repository> {
  const { endpoint } = connection;
  const asked = { hubUrl: endpoint, fetch: fetchOver(connection, waiting.signal) };
  const { sha: commit } = await answered(waiting, () => modelInfo({ name: id, additionalFields: ["sha"], ...asked }));
  if (!/^[0-9a-f]{40}$/.test(commit)) throw new EngineError("HUB_FAILED", `${endpoint} names no commit of ${id}`);
  const listed = await answered(waiting, async () => {
    const files = [];
    for await (const file of listFiles({ repo: id, revision: commit, ...asked })) files.push(file);
    return files;
  });
  const isSharded = listed.some(({ path }) => path === "model.safetensors.index.json");
  const isWanted = (path: string) =>
    WANTED.includes(path) || (WEIGHTS.test(path) && (path === "model.safetensors") !== isSharded);
  const files = listed
    .filter(({ type, path }) => type === "file" && isWanted(path))
    .map(({ path, size, oid, lfs }): RemoteFile => {
      const digits = lfs?.oid ?? oid ?? "";
      if (!/^(?:[0-9a-f]{64}|[0-9a-f]{40})$/.test(digits))
        throw new EngineError("HUB_FAILED", `${endpoint} lists no hash for ${path}`);
      const hash = { kind: lfs === undefined ? "git" : "sha256", digits } as const;
      return { url: `${endpoint}/${id}/resolve/${commit}/${path}`, name: path, bytes: lfs?.size ?? size, hash };
    });
  const names = files.map(({ name }) => name);
  const missing = NEEDED.filter((name) => !names.includes(name));
  if (!names.some((name) => WEIGHTS.test(name))) missing.push("safetensors files");
  if (missing.length > 0) throw new EngineError("CHECKPOINT_UNSUPPORTED", `${id} has no ${missing.join(", no ")}`);
  return { id, commit, files };
}

/** The library's own errors say little of what to do. */
function answered<T>(waiting: Waiting, ask: () => Promise<T>): Promise<T> {
  return insist(async () => {
    try {
      return await ask();
    } catch (error) {
      if (error instanceof SyntaxError || error instanceof TypeError)
        throw new EngineError("HUB_FAILED", `no list of files came: ${messageOf(error)}`, { cause: error });
      throw error;
    }
  }, waiting);
}

/** What the library calls `fetch`: through the proxy, with the token where it belongs. */
function fetchOver(connection: Connection, signal: AbortSignal): typeof fetch {
  return async (input, init) => {
    const accept = new Headers(init?.headers).get("accept") ?? "application/json";
    const answer = await connection.get(String(input), { headers: { accept }, signal });
    const { status, headers } = answer;
    return new Response(await readText(answer, signal), { status, headers });
  };
}
