// One request to the reader's server: key, timeouts, few retries, and every way to fail as a named error with its remedy.
import { setTimeout as sleep } from "node:timers/promises";
import { EngineError, messageOf } from "../../errors.ts";

/** Until the answer begins; a completion's own deadline is mostly shorter. */
const ANSWER_MS = 30_000;
/** Waits before the second and the third attempt. */
const WAITS_MS: readonly number[] = [100, 400];
/** A server that asks for a longer pause than this is told no more; the person learns when it will answer. */
const LONGEST_WAIT_MS = 2_000;
/** Of a server's own words in an error. */
const LONGEST_WORDS = 300;

export interface Asked {
  /** Of this server alone: no redirect is followed. */
  readonly url: string;
  /** Sent as JSON; absent: a GET. */
  readonly body?: unknown;
  readonly key: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The answer's head; its body is still to come. Attempts are repeated only where the server has done nothing yet: no
 * connection, 502, 503, and 429 that says when. Throws an `ENDPOINT_…` error, or the signal's reason.
 */
export async function ask(asked: Asked): Promise<Response> {
  for (let attempt = 0; ; attempt += 1) {
    const outcome = await tryOnce(asked);
    if (outcome instanceof Response) return outcome;
    const waitMs = outcome.waitMs ?? WAITS_MS[attempt];
    if (!outcome.isRepeatable || attempt >= WAITS_MS.length || waitMs === undefined || waitMs > LONGEST_WAIT_MS)
      throw outcome.error;
    await sleep(waitMs, undefined, asked.signal === undefined ? {} : { signal: asked.signal }).catch(() => {});
    asked.signal?.throwIfAborted();
  }
}

/** The answer as JSON. Throws as `ask` does, and `ENDPOINT_FAILED` for what is none. */
export async function askJson(asked: Asked): Promise<unknown> {
  const response = await ask(asked);
  try {
    return JSON.parse(await response.text());
  } catch (error) {
    asked.signal?.throwIfAborted();
    throw new EngineError("ENDPOINT_FAILED", `${asked.url} answered no JSON: ${messageOf(error)}`);
  }
}

interface Failure {
  readonly error: EngineError;
  readonly isRepeatable: boolean;
  /** What the server asked for. */
  readonly waitMs?: number;
}

async function tryOnce({ url, body, key, signal }: Asked): Promise<Response | Failure> {
  signal?.throwIfAborted();
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), ANSWER_MS);
  try {
    const response = await fetch(url, {
      ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
      headers: {
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      },
      redirect: "manual",
      signal: signal === undefined ? limit.signal : AbortSignal.any([signal, limit.signal]),
    });
    if (response.ok) return response;
    return await refusal(url, response, key);
  } catch (error) {
    signal?.throwIfAborted();
    if (limit.signal.aborted) {
      const detail = `${url} did not answer within ${ANSWER_MS / 1000} s`;
      return { error: new EngineError("ENDPOINT_UNREACHABLE", detail), isRepeatable: false };
    }
    return unreached(url, error);
  } finally {
    clearTimeout(timer);
  }
}

/** OpenSSL's and Node's names of what can be wrong with a certificate. */
const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_(?:GET|VERIFY)|ERR_TLS|ERR_SSL/;

function unreached(url: string, error: unknown): Failure {
  const cause = causeOf(error);
  const detail = `${url}: ${cause.message}`;
  if (CERTIFICATE.test(cause.code)) {
    const untrusted = new EngineError("ENDPOINT_UNTRUSTED", `${detail} (${cause.code})`, { cause: error });
    return { error: untrusted, isRepeatable: false };
  }
  return { error: new EngineError("ENDPOINT_UNREACHABLE", detail, { cause: error }), isRepeatable: true };
}

/** What `fetch` wraps: the first error of the system's that has a code. */
export function causeOf(error: unknown): { code: string; message: string } {
  let innermost = messageOf(error);
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    innermost = at.message;
    const inner: unknown = at instanceof AggregateError ? at.errors[0] : at;
    if (inner instanceof Error && "code" in inner && typeof inner.code === "string" && inner.code !== "")
      return { code: inner.code, message: inner.message === "" ? inner.code : inner.message };
  }
  return { code: "", message: innermost };
}

async function refusal(url: string, response: Response, key: string | undefined): Promise<Failure> {
  const { status } = response;
  const said = await wordsOf(response, key);
  const detail = `${url} answered ${status}${said === "" ? "" : `: ${said}`}`;
  const failed = (code: EngineError["code"], isRepeatable = false) => ({
    error: new EngineError(code, detail),
    isRepeatable,
  });
  if (status >= 300 && status < 400) return failed("ENDPOINT_INVALID");
  if (status === 401 || status === 403) return failed("ENDPOINT_KEY");
  if (status === 404) return failed(/model/i.test(said) ? "ENDPOINT_MODEL" : "ENDPOINT_INVALID");
  const waitMs = retryAfterMs(response.headers.get("retry-after"));
  if (status === 429)
    return waitMs === undefined ? failed("ENDPOINT_BUSY") : { ...failed("ENDPOINT_BUSY", true), waitMs };
  if (status === 502 || status === 503)
    return { ...failed("ENDPOINT_BUSY", true), ...(waitMs === undefined ? {} : { waitMs }) };
  return failed("ENDPOINT_FAILED");
}

/** Seconds, or a date. */
function retryAfterMs(header: string | null): number | undefined {
  if (header === null) return undefined;
  const ms = /^\d+$/.test(header.trim()) ? 1000 * Number(header) : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

/** The server's message, without the key if it repeats it. */
async function wordsOf(response: Response, key: string | undefined): Promise<string> {
  const body = await response.text().catch(() => "");
  return withoutKey(messageIn(body) ?? body, key)
    .replace(/\s+/g, " ")
    .trim()
    .slice(0, LONGEST_WORDS);
}

export function withoutKey(text: string, key: string | undefined): string {
  return key === undefined || key === "" ? text : text.replaceAll(key, "(key)");
}

/** `{"error": {"message": …}}`, `{"error": "…"}`, `{"message": …}` and `{"detail": …}` are all about. */
function messageIn(body: string): string | undefined {
  try {
    return errorIn(JSON.parse(body));
  } catch {
    // Not every server, and no proxy, says it in JSON: then it is the text itself.
    return undefined;
  }
}

/** The message of an error that stands in place of an answer. */
export function errorIn(json: unknown): string | undefined {
  if (typeof json !== "object" || json === null) return undefined;
  const { error, message, detail } = json as Record<string, unknown>;
  if (typeof error === "object" && error !== null) return errorIn(error);
  return [error, message, detail].find((each) => typeof each === "string");
}
