// The setting -> where the server is. The one place that knows which addresses are asked.
import { EngineError } from "../../errors.ts";

export interface Endpoint {
  /** Of the OpenAI interface, without a slash at its end: `https://host/v1`. */
  readonly api: string;
  /** What the server's own requests lie under, such as `/tokenize`: `https://host`. */
  readonly root: string;
  /** Scheme, host and port: what a key belongs to. */
  readonly origin: string;
  /** For a person: host and port. */
  readonly host: string;
  /** `undefined`: the first the server lists. */
  readonly model: string | undefined;
}

/** `undefined` for an empty setting. Throws `ENDPOINT_INVALID`. */
export function endpointOf(setting: string, model: string): Endpoint | undefined {
  const text = setting.trim();
  if (text === "") return undefined;
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) throw invalid("is no http or https address");
  // A setting is no place for secrets: it is shared, synchronised and logged.
  if (url.username !== "" || url.password !== "") throw invalid("holds a user's name or a password");
  if (url.search !== "" || url.hash !== "") throw invalid("holds a query or a fragment");
  const path = url.pathname.replace(/\/+$/, "").replace(/\/v1(\/completions)?$/, "");
  const root = url.origin + path;
  return {
    api: `${root}/v1`,
    root,
    origin: url.origin,
    host: url.host,
    model: model.trim() === "" ? undefined : model.trim(),
  };
}

function invalid(fault: string): EngineError {
  return new EngineError("ENDPOINT_INVALID", `precis.reader.endpoint ${fault}`);
}
