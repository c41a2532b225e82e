// Which server a key belongs to. No editor here, so that tests can read it.

/** Scheme, host and port of an address; undefined for what is none. */
export function originOf(endpoint: string): string | undefined {
  const url = URL.parse(endpoint.trim());
  return url !== null && /^https?:$/.test(url.protocol) ? url.origin : undefined;
}
