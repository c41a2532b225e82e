// Two servers in this process that answer as the Hugging Face Hub does: the hub itself with its lists, hashes and redirects, and
// the one behind it that holds large files; and the ways in which they fail.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** What one request meets in place of an answer, or what is wrong with it. */
export type HubFault =
  | {
      readonly kind: "status";
      readonly status: number;
      readonly headers?: Record<string, string>;
      readonly body?: string;
    }
  /** The connection breaks behind so many bytes of the body. */
  | { readonly kind: "reset"; readonly afterBytes: number }
  /** Ends as if nothing were missing. */
  | { readonly kind: "truncated"; readonly afterBytes: number }
  /** Nothing more comes. */
  | { readonly kind: "stall"; readonly afterBytes: number }
  /** Pauses between parts of 16 KiB. */
  | { readonly kind: "slow"; readonly pauseMs: number }
  /** One byte is another. */
  | { readonly kind: "damaged" }
  | { readonly kind: "longer" }
  /** Everything, whatever part was asked for. */
  | { readonly kind: "wholeOnly" }
  /** A part that begins elsewhere. */
  | { readonly kind: "otherPart" }
  /** From now on the file has other bytes, and says so. */
  | { readonly kind: "changed" }
  | { readonly kind: "redirect"; readonly to: string };

export interface HubRequest {
  readonly server: "hub" | "files";
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
}

export interface HubServerOptions {
  /** `owner/name` -> the folder that holds its files. */
  readonly repositories: Readonly<Record<string, string>>;
  readonly token?: string;
}

export interface HubServer {
  readonly url: string;
  readonly requests: readonly HubRequest[];
  /** By the end of a request's path; each is met by one request, in order. */
  readonly faults: Map<string, HubFault[]>;
  /** Requests for a file's bytes, by the file's name. */
  rangesOf(name: string): (string | undefined)[];
  /** The next publication: another commit, the file with these bytes. */
  publish(id: string, name: string, bytes: Buffer): void;
  /** Lists the file with another length than it has. */
  claim(id: string, name: string, length: number): void;
  close(): Promise<void>;
}

interface StoredFile {
  readonly name: string;
  readonly bytes: Buffer;
  readonly sha256: string;
  readonly git: string;
  readonly isLarge: boolean;
  /** As it is listed. */
  readonly length: number;
}

interface StoredRepository {
  commit: string;
  files: StoredFile[];
}

const PAGE = 4;
const LARGE = /\.safetensors$|^tokenizer\.json$/;

export async function startHubServer({ repositories, token }: HubServerOptions): Promise<HubServer> {
  const stored = new Map(
    Object.entries(repositories).map(([id, folder]) => [id, publishedOf(readFolder(folder))] as const),
  );
  const requests: HubRequest[] = [];
  const faults = new Map<string, HubFault[]>();
  const hub = createServer((request, response) => meet("hub", request, response, answerHub));
  const files = createServer((request, response) => meet("files", request, response, answerFiles));

  function meet(
    server: HubRequest["server"],
    request: IncomingMessage,
    response: ServerResponse,
    answer: (url: URL, request: IncomingMessage, response: ServerResponse, fault: HubFault | undefined) => void,
  ): void {
    const url = new URL(request.url ?? "", "http://127.0.0.1");
    requests.push({ server, path: url.pathname, headers: request.headers });
    // A redirect is answered as ever; what it leads to meets the fault.
    const isRedirect = server === "hub" && url.pathname.includes("/resolve/") && LARGE.test(nameOf(url));
    const [, queue] = [...faults].find(([end]) => url.pathname.endsWith(end)) ?? [];
    const isOfHub = queue?.[0]?.kind === "redirect" || queue?.[0]?.kind === "status";
    const fault = isRedirect && !isOfHub ? undefined : queue?.shift();
    if (fault?.kind === "status") {
      response
        .writeHead(fault.status, { "content-type": "application/json", ...fault.headers })
        .end(fault.body ?? "{}");
    } else if (fault?.kind === "redirect") {
      response.writeHead(302, { location: fault.to }).end();
    } else {
      answer(url, request, response, fault);
    }
  }

  function answerHub(url: URL, request: IncomingMessage, response: ServerResponse, fault: HubFault | undefined) {
    if (token !== undefined && request.headers.authorization !== `Bearer ${token}`)
      return json(response, 401, { error: "Invalid username or password." });
    const [, id = "", kind, rest = ""] =
      /^\/(?:api\/models\/)?([^/]+\/[^/]+)\/(revision|tree|resolve)\/(.+)$/.exec(url.pathname) ?? [];
    const repository = stored.get(id);
    if (repository === undefined) return json(response, 404, { error: "Repository not found" });
    if (kind === "revision") return json(response, 200, infoOf(id, repository));
    if (kind === "tree") {
      const from = Number(url.searchParams.get("cursor") ?? 0);
      const more = from + PAGE < repository.files.length;
      const next = `<${urlOf(hub)}${url.pathname}?cursor=${from + PAGE}>; rel="next"`;
      return json(response, 200, repository.files.slice(from, from + PAGE).map(entryOf), more ? { link: next } : {});
    }
    const file = repository.files.find(({ name }) => rest === `${repository.commit}/${name}`);
    if (file === undefined) return json(response, 404, { error: "Entry not found" });
    if (!file.isLarge) return sendFile(file, `"${file.git}"`, request, response, fault);
    response
      .writeHead(302, {
        location: `${urlOf(files)}/${id}/${file.name}?signature=1`,
        "x-linked-etag": `"${file.sha256}"`,
        "x-linked-size": String(file.bytes.length),
      })
      .end();
  }

  function answerFiles(url: URL, request: IncomingMessage, response: ServerResponse, fault: HubFault | undefined) {
    const id = url.pathname.split("/").slice(1, 3).join("/");
    const repository = stored.get(id);
    const file = repository?.files.find(({ name }) => name === nameOf(url));
    if (repository === undefined || file === undefined) return json(response, 404, {});
    if (fault?.kind !== "changed") return sendFile(file, `"${file.sha256}"`, request, response, fault);
    const changed = storedFile(file.name, Buffer.from(file.bytes).reverse());
    repository.files = repository.files.map((each) => (each === file ? changed : each));
    sendFile(changed, `"${changed.sha256}"`, request, response, undefined);
  }

  await Promise.all([listen(hub), listen(files)]);
  return {
    url: urlOf(hub),
    requests,
    faults,
    rangesOf: (name) =>
      requests
        .filter(({ path, server }) => path.endsWith(`/${name}`) && (server === "files" || !LARGE.test(name)))
        .map(({ headers }) => headers.range),
    publish(id, name, bytes) {
      const repository = stored.get(id);
      if (repository === undefined) throw new Error(`no ${id}`);
      const others = repository.files.filter((file) => file.name !== name);
      stored.set(id, publishedOf([...others, storedFile(name, bytes)]));
    },
    claim(id, name, length) {
      const repository = stored.get(id);
      if (repository === undefined) throw new Error(`no ${id}`);
      repository.files = repository.files.map((file) => (file.name === name ? { ...file, length } : file));
    },
    async close() {
      for (const server of [hub, files]) {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    },
  };
}

/** The part that was asked for, spoilt by the fault. */
function sendFile(
  file: StoredFile,
  etag: string,
  request: IncomingMessage,
  response: ServerResponse,
  fault: HubFault | undefined,
): void {
  const { length } = file.bytes;
  const condition = request.headers["if-range"];
  const isSame = condition === undefined || condition === etag;
  const asked = /^bytes=(\d+)-$/.exec(request.headers.range ?? "");
  const isPart = asked !== null && isSame && fault?.kind !== "wholeOnly";
  const start = isPart ? Number(asked[1]) : 0;
  if (start >= length && isPart) {
    response.writeHead(416, { "content-range": `bytes */${length}` }).end();
    return;
  }
  let body: Buffer = file.bytes.subarray(start);
  if (fault?.kind === "damaged") {
    body = Buffer.from(body);
    body[body.length >> 1] = 255 - (body[body.length >> 1] as number);
  }
  if (fault?.kind === "longer") body = Buffer.concat([body, Buffer.from("more")]);
  const said = fault?.kind === "otherPart" ? start + 1 : start;
  // A server that knows no length sends until it closes.
  const isCounted = fault?.kind !== "truncated" && fault?.kind !== "longer";
  response.writeHead(isPart ? 206 : 200, {
    etag,
    "accept-ranges": "bytes",
    ...(isCounted ? { "content-length": String(body.length) } : {}),
    ...(isPart ? { "content-range": `bytes ${said}-${length - 1}/${length}` } : {}),
  });
  void sendBody(body, response, fault);
}

async function sendBody(body: Buffer, response: ServerResponse, fault: HubFault | undefined): Promise<void> {
  if (fault !== undefined && "afterBytes" in fault) {
    const part = body.subarray(0, fault.afterBytes);
    if (fault.kind === "truncated") response.end(part);
    else
      response.write(part, () => {
        if (fault.kind === "reset") response.socket?.destroySoon();
      });
    return;
  }
  if (fault?.kind !== "slow") {
    response.end(body);
    return;
  }
  for (let at = 0; at < body.length && !response.destroyed; at += 16_384) {
    response.write(body.subarray(at, at + 16_384));
    await sleep(fault.pauseMs);
  }
  response.end();
}

function readFolder(folder: string): StoredFile[] {
  return readdirSync(folder)
    .sort()
    .map((name) => storedFile(name, readFileSync(join(folder, name))));
}

function storedFile(name: string, bytes: Buffer): StoredFile {
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const git = createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
  return { name, bytes, sha256, git, isLarge: LARGE.test(name), length: bytes.length };
}

function publishedOf(files: StoredFile[]): StoredRepository {
  const commit = createHash("sha1")
    .update(files.map(({ git }) => git).join())
    .digest("hex");
  return { commit, files };
}

/** Of a large file the list's own hash is that of the pointer, which nobody downloads. */
function entryOf({ name, length, sha256, git, isLarge }: StoredFile): unknown {
  const lfs = { oid: sha256, size: length, pointerSize: 133 };
  return isLarge
    ? { type: "file", path: name, size: length, oid: "0".repeat(40), lfs }
    : { type: "file", path: name, size: length, oid: git };
}

function infoOf(id: string, { commit }: StoredRepository): unknown {
  return {
    _id: "66e81cefd1b1391042d0e47e",
    id,
    sha: commit,
    private: false,
    gated: false,
    pipeline_tag: "text-generation",
    downloads: 1,
    likes: 1,
    lastModified: "2026-11-20T10:00:00.000Z",
  };
}

function nameOf(url: URL): string {
  return url.pathname.split("/").at(-1) ?? "";
}

function json(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
}

function urlOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
