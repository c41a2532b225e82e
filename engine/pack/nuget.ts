// A package of a NuGet feed: where it lies, how long it is, and the hash that the feed's catalog has for it
// (https://learn.microsoft.com/nuget/api/overview).
import { EngineError } from "../errors.ts";
import { type Connection, readText } from "./connection.ts";
import type { RemoteFile } from "./download.ts";
import { insist, type Waiting } from "./patience.ts";

interface FeedIndex {
  readonly resources?: readonly { readonly "@id": string; readonly "@type": string }[];
}

interface RegistrationLeaf {
  readonly catalogEntry?: string;
  readonly packageContent?: string;
}

interface CatalogLeaf {
  readonly packageHash?: string;
  readonly packageHashAlgorithm?: string;
  readonly packageSize?: number;
}

/** Throws the `HUB_…` errors. Rejects with the signal's reason when aborted. */
export async function findPackage(
  name: string,
  version: string,
  connection: Connection,
  waiting: Waiting,
): Promise<RemoteFile> {
  const ask = <T>(url: string) => askJson<T>(url, connection, waiting);
  const { resources = [] } = await ask<FeedIndex>(connection.endpoint);
  // Those with a version behind the name answer compressed.
  const registrations = resources.find((resource) => resource["@type"] === "RegistrationsBaseUrl")?.["@id"];
  if (registrations === undefined) throw odd(`${connection.endpoint} has no RegistrationsBaseUrl`);
  const at = `${registrations.replace(/\/+$/, "")}/${name.toLowerCase()}/${version.toLowerCase()}.json`;
  const { catalogEntry, packageContent } = await ask<RegistrationLeaf>(at);
  if (catalogEntry === undefined || packageContent === undefined) throw odd(`${at} has no catalogEntry`);
  const { packageHash = "", packageHashAlgorithm, packageSize } = await ask<CatalogLeaf>(catalogEntry);
  const digits = Buffer.from(packageHash, "base64").toString("hex");
  if (packageHashAlgorithm !== "SHA512" || digits.length !== 128 || packageSize === undefined)
    throw odd(`${catalogEntry} has no SHA512`);
  return {
    url: packageContent,
    name: `${name} ${version}`,
    bytes: packageSize,
    hash: { kind: "sha512", digits },
  };
}

function askJson<T>(url: string, connection: Connection, waiting: Waiting): Promise<T> {
  return insist(async () => {
    const answer = await connection.get(url, { headers: { accept: "application/json" }, signal: waiting.signal });
    const text = await readText(answer, waiting.signal);
    try {
      return JSON.parse(text) as T;
    } catch (error) {
      throw odd(`${url} is not JSON`, error);
    }
  }, waiting);
}

function odd(detail: string, cause?: unknown): EngineError {
  return new EngineError("HUB_FAILED", detail, { cause });
}
