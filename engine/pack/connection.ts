// Requests to a hub: the only importer of undici, because Node's own client knows no proxy before Node 24. A token goes to the
// hub alone: addresses a redirect leads to never see it.
import type { Readable } from "node:stream";
import tls from "node:tls";
import { EnvHttpProxyAgent, request } from "undici";
import { EngineError, errnoOf, messageOf } from "../errors.ts";

export interface ProxyChoice {
  /** Address of a proxy for all requests; `""`: those of the environment (HTTPS_PROXY, HTTP_PROXY). */
  readonly address: string;
  /** Hosts reached without it, as NO_PROXY lists them; `""`: those of the environment. */
  readonly except: string;
}

export interface ConnectionOptions {
  /** Of the hub, such as `https://hub.example`. */
  readonly endpoint: string;
  readonly token?: string | undefined;
  readonly proxy?: ProxyChoice;
  /** Milliseconds without a byte after which a request is given up. */
  readonly stallMs: number;
}

export interface Answer {
  /** 2xx, or one of the statuses that `allowed` names. */
  readonly status: number;
  /** In lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Readable;
}

export interface Connection {
  readonly endpoint: string;
  /** Follows redirects. Throws `RequestFailed`; rejects with the signal's reason when aborted. */
  get(url: string, options: GetOptions): Promise<Answer>;
  close(): Promise<void>;
}

export interface GetOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** Statuses beyond 2xx that are no failure. */
  readonly allowed?: readonly number[];
}

/** One request that brought nothing. `isRepeatable`: the same request may succeed later, after `waitMs` where the server said so. */
export class RequestFailed extends Error {
  readonly error: EngineError;
  readonly isRepeatable: boolean;
  readonly waitMs: number | undefined;

  constructor(error: EngineError, { isRepeatable, waitMs }: { isRepeatable: boolean; waitMs?: number | undefined }) {
    super(error.message, { cause: error });
    this.error = error;
    this.isRepeatable = isRepeatable;
    this.waitMs = waitMs;
  }
}

const MOST_REDIRECTS = 10;
/** Of an error's page: enough for its first words. */
const MOST_SAID = 4096;

/** Throws `HUB_FAILED` for an endpoint or proxy that is no address. */
export function openConnection({ endpoint, token, proxy, stallMs }: ConnectionOptions): Connection {
  const base = addressOf(endpoint, "the hub's address");
  if (proxy !== undefined && proxy.address !== "") addressOf(proxy.address, "the proxy's address");
  const dispatcher = new EnvHttpProxyAgent({
    headersTimeout: stallMs,
    bodyTimeout: stallMs,
    connect: { timeout: stallMs, ca: trusted() },
    requestTls: { timeout: stallMs, ca: trusted() },
    ...(proxy === undefined || proxy.address === "" ? {} : { httpProxy: proxy.address, httpsProxy: proxy.address }),
    ...(proxy === undefined || proxy.except === "" ? {} : { noProxy: proxy.except }),
  });

  async function get(address: string, { headers = {}, signal, allowed = [] }: GetOptions): Promise<Answer> {
    let url = addressOf(address, "an address");
    for (let hops = 0; hops <= MOST_REDIRECTS; hops += 1) {
      const isHub = url.origin === base.origin;
      const secret = isHub && token !== undefined ? { authorization: `Bearer ${token}` } : {};
      const answer = await send(url, { "accept-encoding": "identity", ...headers, ...secret }, signal);
      const to = answer.headers["location"];
      if (answer.status < 300 || allowed.includes(answer.status)) return answer;
      if (answer.status >= 400 || to === undefined) throw await refusal(url, answer);
      answer.body.destroy();
      const next = addressOf(new URL(to, url).href, `the redirect of ${url.host}`);
      if (url.protocol === "https:" && next.protocol !== "https:")
        throw final("HUB_FAILED", `${url.host} leads to ${next.origin}, which is not encrypted`);
      url = next;
    }
    throw final("HUB_FAILED", `${address} was redirected more than ${MOST_REDIRECTS} times`);
  }

  async function send(url: URL, headers: Record<string, string>, signal: AbortSignal): Promise<Answer> {
    try {
      const { statusCode, headers: given, body } = await request(url, { dispatcher, headers, signal });
      // What nobody reads any more may still fail.
      body.on("error", () => {});
      return { status: statusCode, headers: plain(given), body };
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw unreached(url, error);
    }
  }

  return { endpoint: base.href.replace(/\/+$/, ""), get, close: () => dispatcher.destroy() };
}

/** The whole body. Throws `RequestFailed` where it breaks off; rejects with the signal's reason when aborted. */
export async function readText({ body }: Answer, signal: AbortSignal): Promise<string> {
  const blocks: Uint8Array[] = [];
  try {
    for await (const block of body) blocks.push(block);
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw new RequestFailed(new EngineError("HUB_UNREACHABLE", messageOf(error)), { isRepeatable: true });
  }
  return Buffer.concat(blocks).toString("utf8");
}

/** What a broken connection or a stalled body means; anything else is no fault of the network and stays as it is. */
export function unreached(url: URL | string, error: unknown): unknown {
  const cause = causeOf(error);
  const { host } = new URL(url);
  const detail = `${host}: ${cause.message} (${cause.code})`;
  if (CERTIFICATE.test(cause.code)) return final("HUB_UNTRUSTED", detail, error);
  if (/proxy/i.test(cause.message) && /\b407\b/.test(cause.message))
    return final("HUB_UNREACHABLE", `the proxy wants a name and a password: ${cause.message}`, error);
  if (!NETWORK.test(cause.code)) return error;
  return new RequestFailed(new EngineError("HUB_UNREACHABLE", detail, { cause: error }), { isRepeatable: true });
}

/** OpenSSL's and Node's names of what can be wrong with a certificate. */
const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_(?:GET|VERIFY)|ERR_TLS|ERR_SSL/;
const NETWORK = /^(?:UND_ERR_|HPE_|ECONN|ENOTFOUND|EAI_|ETIMEDOUT|EPIPE|EHOST|ENET|ERR_STREAM_PREMATURE_CLOSE)/;

/** The innermost error that has a code. */
function causeOf(error: unknown): { message: string; code: string } {
  let code = "unknown";
  let message = messageOf(error);
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const own = errnoOf(at);
    if (own === undefined) continue;
    code = own;
    // Where several addresses of a host were tried, the error that holds them has no words.
    message = at.message || (at instanceof AggregateError ? messageOf(at.errors[0]) : message);
  }
  return { message, code };
}

async function refusal(url: URL, answer: Answer): Promise<RequestFailed> {
  const { status, headers } = answer;
  const said = headers["x-error-message"] ?? (await firstWords(answer));
  const detail = `${url.host} answered ${status}${said === "" ? "" : `: ${said}`}`;
  if (status === 401) return final("HUB_TOKEN", detail);
  if (status === 403) return final("HUB_GATED", detail);
  if (status === 404) return final("HUB_MISSING", `${detail} for ${url.pathname}`);
  if (status === 407) return final("HUB_UNREACHABLE", `the proxy wants a name and a password: ${detail}`);
  if (status === 408 || status === 429 || status >= 500) {
    const waitMs = waitOf(headers["retry-after"]);
    return new RequestFailed(new EngineError("HUB_BUSY", detail), { isRepeatable: true, waitMs });
  }
  return final("HUB_FAILED", detail);
}

/** Milliseconds of a Retry-After header, which is in seconds or a date. */
function waitOf(header: string | undefined): number | undefined {
  if (header === undefined) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

async function firstWords({ body, headers }: Answer): Promise<string> {
  let text = "";
  try {
    for await (const part of body) {
      text += String(part);
      if (text.length > MOST_SAID) break;
    }
  } catch {
    // The status says enough.
  }
  if (!/json|text\/plain/.test(headers["content-type"] ?? "")) return "";
  try {
    const told: unknown = JSON.parse(text);
    if (typeof told === "object" && told !== null && "error" in told) return String(told.error).slice(0, 200);
  } catch {
    // Plain words.
  }
  return text.replace(/\s+/g, " ").trim().slice(0, 200);
}

function final(code: EngineError["code"], detail: string, cause?: unknown): RequestFailed {
  return new RequestFailed(new EngineError(code, detail, { cause }), { isRepeatable: false });
}

function addressOf(text: string, what: string): URL {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) throw final("HUB_FAILED", `${what} is ${text}`).error;
  return url;
}

function plain(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name.toLowerCase(), Array.isArray(value) ? value.join(", ") : value]],
    ),
  );
}

/** Those of the system too, where Node can say them: a company's proxy is signed by an authority that only the system knows. */
function trusted(): string[] {
  const read: typeof tls.getCACertificates | undefined = tls.getCACertificates;
  if (read === undefined) return [...tls.rootCertificates];
  try {
    return [...read("default"), ...read("system")];
  } catch {
    return read("default");
  }
}
