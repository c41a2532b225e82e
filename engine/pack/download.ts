// One file from a hub to the disk: resumed where it ended, also by another process, and given its name only when its bytes have
// the hash that the hub lists.
import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { EngineError, errnoOf } from "../errors.ts";
import { type Answer, type Connection, RequestFailed, unreached } from "./connection.ts";
import { type Waiting, waitAfter } from "./patience.ts";

export interface RemoteFile {
  readonly url: string;
  /** For a person. */
  readonly name: string;
  readonly bytes: number;
  /** `git`: of a blob, sha1 over a head and the bytes. In hexadecimal digits. */
  readonly hash: { readonly kind: "sha256" | "sha512" | "git"; readonly digits: string };
}

export interface DownloadOptions extends Waiting {
  readonly connection: Connection;
  /** Bytes of this file that lie on the disk. */
  readonly onBytes?: (bytes: number) => void;
}

/**
 * Leaves the whole file at `to`, or throws a `HUB_…` error or `DISK_FULL` and leaves what came so far at `to` + `.part`, from
 * where the next call goes on. Rejects with the signal's reason when aborted.
 */
export async function downloadFile(file: RemoteFile, to: string, options: DownloadOptions): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  if ((await bytesAt(to)) === file.bytes && (await digitsOf(file, to)) === file.hash.digits) {
    options.onBytes?.(file.bytes);
    return;
  }
  const part = `${to}.part`;
  try {
    // What an earlier call left may be what is wrong: once it is fetched anew.
    for (const isLast of [false, true]) {
      const digits = await fetchWhole(file, part, options);
      if (digits === file.hash.digits) {
        await rename(part, to);
        await forget(part, "validator");
        return;
      }
      await forget(part);
      options.onBytes?.(0);
      if (isLast) throw damaged(file, `has ${file.hash.kind} ${digits}, the hub lists ${file.hash.digits}`);
    }
  } catch (error) {
    if (isFull(error)) throw new EngineError("DISK_FULL", `no room for ${to}`, { cause: error });
    throw error;
  }
}

/** Of a file that is to lie at `to`: how many bytes are there, all of them or a part. */
export async function partialBytes(to: string): Promise<number> {
  return (await bytesAt(to)) ?? (await bytesAt(`${to}.part`)) ?? 0;
}

/** Goes on at the end of `part` until it is as long as the hub says; the digits of its hash. */
async function fetchWhole(file: RemoteFile, part: string, options: DownloadOptions): Promise<string> {
  const copy = await PartialCopy.open(file, part);
  try {
    options.onBytes?.(copy.bytes);
    for (let failures = 0; copy.bytes < file.bytes; ) {
      const before = copy.bytes;
      try {
        await fetchRest(file, copy, options);
        if (copy.bytes < file.bytes) throw cutShort(file, copy.bytes);
      } catch (error) {
        failures = copy.bytes > before ? 1 : failures + 1;
        await waitAfter(error, failures, options);
      }
    }
    return await copy.finish();
  } finally {
    await copy.close();
  }
}

async function fetchRest(file: RemoteFile, copy: PartialCopy, options: DownloadOptions): Promise<void> {
  const { connection, signal, onBytes } = options;
  const answer = await connection.get(file.url, { headers: copy.rangeHeaders(), signal, allowed: [416] });
  try {
    await copy.meet(answer);
    for await (const block of answer.body) {
      await copy.add(block);
      onBytes?.(copy.bytes);
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw error instanceof RequestFailed || error instanceof EngineError ? error : unreached(file.url, error);
  } finally {
    answer.body.destroy();
  }
}

/** What has come of a file, its hash so far, and what the server called the version it sent. */
class PartialCopy {
  bytes = 0;
  readonly #file: RemoteFile;
  readonly #path: string;
  readonly #handle: FileHandle;
  #hash: Hash;
  /** Of a strong validator, as If-Range wants it. */
  #validator: string | undefined;

  private constructor(file: RemoteFile, path: string, handle: FileHandle) {
    this.#file = file;
    this.#path = path;
    this.#handle = handle;
    this.#hash = hashFor(file);
  }

  static async open(file: RemoteFile, path: string): Promise<PartialCopy> {
    const known = (await bytesAt(path)) ?? 0;
    if (known > file.bytes) await forget(path);
    // Not to append, for Windows lets nobody shorten a file that is opened so.
    const flags = known > 0 && known <= file.bytes ? "r+" : "w+";
    const copy = new PartialCopy(file, path, await open(path, flags));
    for await (const block of createReadStream(path)) {
      copy.#hash.update(block);
      copy.bytes += block.length;
    }
    copy.#validator = await readFile(validatorOf(path), "utf8").catch(() => undefined);
    return copy;
  }

  rangeHeaders(): Record<string, string> {
    if (this.bytes === 0) return {};
    const condition = this.#validator === undefined ? {} : { "if-range": this.#validator };
    return { range: `bytes=${this.bytes}-`, ...condition };
  }

  /** Takes up what the server is going to send: the rest, or all of it anew. */
  async meet({ status, headers }: Answer): Promise<void> {
    const rest = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers["content-range"] ?? "");
    const total = rest === null ? headers["content-length"] : rest[2];
    if (status === 416 || (status === 206 && Number(rest?.[1]) !== this.bytes)) {
      await this.#restart();
      throw again(this.#file, "its server has no such part");
    }
    if (status !== 206) await this.#restart();
    if (total !== undefined && total !== "*" && Number(total) !== this.#file.bytes)
      throw damaged(this.#file, `has ${total} bytes, the hub lists ${this.#file.bytes}`);
    const etag = headers["etag"];
    this.#validator = etag === undefined || etag.startsWith("W/") ? undefined : etag;
    if (this.#validator === undefined) await forget(this.#path, "validator");
    else await writeFile(validatorOf(this.#path), this.#validator);
  }

  async add(block: Uint8Array): Promise<void> {
    if (this.bytes + block.length > this.#file.bytes)
      throw damaged(this.#file, `is longer than the ${this.#file.bytes} bytes that the hub lists`);
    // A full disk may take a part without an error.
    for (let done = 0; done < block.length; ) {
      const { bytesWritten } = await this.#handle.write(block, done, block.length - done, this.bytes + done);
      done += bytesWritten;
    }
    this.#hash.update(block);
    this.bytes += block.length;
  }

  /** The digits of the hash of all that came, which then lies on the disk. */
  async finish(): Promise<string> {
    await this.#handle.sync();
    return this.#hash.digest("hex");
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async #restart(): Promise<void> {
    await this.#handle.truncate(0);
    this.#hash = hashFor(this.#file);
    this.bytes = 0;
  }
}

function hashFor({ hash, bytes }: RemoteFile): Hash {
  return hash.kind === "git" ? createHash("sha1").update(`blob ${bytes}\0`) : createHash(hash.kind);
}

async function digitsOf(file: RemoteFile, path: string): Promise<string> {
  const hash = hashFor(file);
  for await (const block of createReadStream(path)) hash.update(block);
  return hash.digest("hex");
}

function validatorOf(part: string): string {
  return `${part}.etag`;
}

async function forget(part: string, what: "all" | "validator" = "all"): Promise<void> {
  if (what === "all") await rm(part, { force: true });
  await rm(validatorOf(part), { force: true });
}

async function bytesAt(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Disk full, a person's quota, a limit on a file's size. */
function isFull(error: unknown): boolean {
  return ["ENOSPC", "EDQUOT", "EFBIG"].includes(errnoOf(error) ?? "");
}

function damaged({ name }: RemoteFile, how: string): EngineError {
  return new EngineError("HUB_DAMAGED", `${name} ${how}`);
}

function cutShort(file: RemoteFile, bytes: number): RequestFailed {
  return again(file, `its server closed after ${bytes} of ${file.bytes} bytes`);
}

function again({ name }: RemoteFile, why: string): RequestFailed {
  return new RequestFailed(new EngineError("HUB_BUSY", `${name}: ${why}`), { isRepeatable: true });
}
